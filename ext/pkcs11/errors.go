package pkcs11

import (
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"
)

// What can be wrong with a token. Errors wrap these with the detail; use [errors.Is].
// Trouble with key or certificate wraps the sentinels of certtoken: ErrNoPrivateKey,
// ErrNoCertificate, ErrKeyMismatch, ErrKeySize, and ErrUnsupported for another kind of key
// than RSA, EC on P-256, P-384 or P-521, and Ed25519. What a module answered can be had by
// [errors.As] with the Error of github.com/miekg/pkcs11.
var (
	ErrTokenNotFound = errors.New("no such token is present")
	ErrSeveralTokens = errors.New("several tokens fit")
	ErrSeveralKeys   = errors.New("several keys fit")
	ErrPINRefused    = errors.New("the token refused the PIN")    // until [Source.Login]
	ErrPINLocked     = errors.New("the token's PIN is locked")    // by too many wrong ones
	ErrClosed        = errors.New("pkcs11: the source is closed") // after [Source.Close]
)

// sessionGone are answers after which a session's handle means nothing any more.
var sessionGone = []p11.Error{
	p11.CKR_SESSION_HANDLE_INVALID,
	p11.CKR_SESSION_CLOSED,
	p11.CKR_DEVICE_REMOVED,
	p11.CKR_TOKEN_NOT_PRESENT,
	p11.CKR_TOKEN_NOT_RECOGNIZED,
	p11.CKR_SLOT_ID_INVALID,
	p11.CKR_CRYPTOKI_NOT_INITIALIZED,
}

// connectionLost are further answers that a new session and login may cure. The
// last four are what modules of HSMs say when their network connection broke.
var connectionLost = []p11.Error{
	p11.CKR_USER_NOT_LOGGED_IN,
	p11.CKR_OBJECT_HANDLE_INVALID,
	p11.CKR_KEY_HANDLE_INVALID,
	p11.CKR_OPERATION_ACTIVE,
	p11.CKR_DEVICE_ERROR,
	p11.CKR_DEVICE_MEMORY,
	p11.CKR_FUNCTION_FAILED,
	p11.CKR_GENERAL_ERROR,
}

// pinNotTried are answers to a login that say that the token didn't compare a
// PIN. After any other, it may count as a wrong one.
var pinNotTried = []p11.Error{
	p11.CKR_FUNCTION_CANCELED,
	p11.CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
	p11.CKR_USER_TOO_MANY_TYPES,
	p11.CKR_USER_PIN_NOT_INITIALIZED,
}

// noSuchMechanism are answers of a token, or of a key with a list of what it may
// be used for, that lacks a mechanism.
var noSuchMechanism = []p11.Error{
	p11.CKR_MECHANISM_INVALID,
	p11.CKR_MECHANISM_PARAM_INVALID,
	p11.CKR_FUNCTION_NOT_SUPPORTED,
}

// noMoreSessions is the answer of a token that is full.
var noMoreSessions = []p11.Error{p11.CKR_SESSION_COUNT}

// answered reports whether err is one of a module's answers.
func answered(err error, answers []p11.Error) bool {
	var code p11.Error
	return errors.As(err, &code) && slices.Contains(answers, code)
}

func isGone(err error) bool { return answered(err, sessionGone) }

func isLost(err error) bool { return isGone(err) || answered(err, connectionLost) }

// call names the function of PKCS #11 that failed.
func call(function string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", function, err)
}
