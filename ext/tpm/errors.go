package tpm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/go-tpm/tpm2"

	"github.com/certtoken/certtoken"
)

// What can be wrong with a TPM or a key. Errors wrap these with the detail; use [errors.Is].
// Trouble with key or certificate wraps the sentinels of certtoken: ErrNoPrivateKey,
// ErrNoCertificate, ErrKeyMismatch, ErrKeySize, ErrFormat, ErrPasswordRequired, and ErrUnsupported for another
// kind of key than RSA and EC on P-256, P-384 or P-521. What chip or key can't do wraps
// [errors.ErrUnsupported]. The TPM's answer can be had by [errors.As] with the TPMRC of
// github.com/google/go-tpm/tpm2.
var (
	ErrNoTPM           = errors.New("no TPM can be opened")
	ErrOtherTPM        = errors.New("the key is of another TPM or another parent")
	ErrPasswordRefused = errors.New("the TPM refused the password")
	ErrLockedOut       = errors.New("the TPM is locked after too many wrong passwords")
	ErrPolicy          = errors.New("the key's policy isn't fulfilled")
)

// lacking are the answers of a TPM that doesn't have an algorithm, a length or a curve.
var lacking = []tpm2.TPMRC{
	tpm2.TPMRCScheme, tpm2.TPMRCHash, tpm2.TPMRCAsymmetric, tpm2.TPMRCCurve, tpm2.TPMRCKeySize,
	tpm2.TPMRCValue, tpm2.TPMRCCommandCode, tpm2.TPMRCType, tpm2.TPMRCAttributes,
}

// answers are what a TPM may answer to any command, by what they mean.
var answers = []struct {
	code   tpm2.TPMRC
	is     error
	advice string
}{
	{tpm2.TPMRCLockout, ErrLockedOut, "; it takes passwords again after a while: \"tpm2_getcap properties-variable\" " +
		"prints when, and \"tpm2_dictionarylockout --clear-lockout\" ends it"},
	{tpm2.TPMRCPolicyFail, ErrPolicy, ""},
	{tpm2.TPMRCPolicyCC, ErrPolicy, ""},
	{tpm2.TPMRCPolicy, ErrPolicy, ""},
	{tpm2.TPMRCPCRChanged, ErrPolicy, ""},
	{tpm2.TPMRCLocality, ErrPolicy, ""},
	{tpm2.TPMRCAuthUnavailable, ErrPolicy, ": the key is used by its policy alone; give the PCRs by WithPCRs"},
	{tpm2.TPMRCInitialize, ErrNoTPM, ": it isn't started; nothing has sent TPM2_Startup"},
}

// call names the command that failed, and what its answer means.
func call(command string, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range answers {
		if errors.Is(err, known.code) {
			return fmt.Errorf("%w: %s: %w%s", known.is, command, err, known.advice)
		}
	}
	return fmt.Errorf("%s: %w", command, err)
}

// answered reports whether err is one of a TPM's answers.
func answered(err error, codes ...tpm2.TPMRC) bool {
	for _, code := range codes {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// isPasswordRefused reports whether err is the answer to a wrong password.
func isPasswordRefused(err error) bool { return answered(err, tpm2.TPMRCAuthFail, tpm2.TPMRCBadAuth) }

// unsupported is for what chip or key can't do.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errors.ErrUnsupported}, args...)...)
}

// openError says why a TPM can't be opened and what to do.
func openError(path string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "; has this machine a TPM 2.0, and is it switched on in the firmware's settings?"
	case errors.Is(err, fs.ErrPermission):
		advice = fmt.Sprintf("; the user %d must be in the group that owns it, mostly tss", os.Getuid())
	}
	return fmt.Errorf("%w: %s: %w%s", ErrNoTPM, path, err, advice)
}

// passwordMissing says that a key has a password, and that none was given.
type passwordMissing struct{}

func (passwordMissing) Error() string {
	return "the key's file says that it has a password: give it by WithPassword; " +
		"for a key of tpm2-tools without one, give an empty one"
}

// Is reports whether target is [certtoken.ErrPasswordRequired].
func (passwordMissing) Is(target error) bool { return target == certtoken.ErrPasswordRequired }
