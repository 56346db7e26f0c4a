package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/certtoken/certtoken/ext/tpm"
)

// expiryWarning is how long before a certificate's end the doctor warns by default.
const expiryWarning = 30 * 24 * time.Hour

// certStages are the checks that reading the file stands for, in their order, each
// with the errors that mean that it failed. Any other error counts for the first.
var certStages = []struct {
	name   string
	errors []error
}{
	{checkFile, []error{certtoken.ErrFormat, certtoken.ErrTooLarge, certtoken.ErrUnsupported}},
	{checkPassword, []error{
		certtoken.ErrPasswordRequired, certtoken.ErrWrongPassword, tpm.ErrPasswordRefused, tpm.ErrLockedOut,
	}},
	{checkKey, []error{certtoken.ErrNoPrivateKey, certtoken.ErrKeyMismatch, certtoken.ErrSeveralKeys}},
	{checkKeyType, []error{certtoken.ErrNotRSA, certtoken.ErrKeySize}},
}

// checkCertificate checks what can be checked without a server, and returns the
// certificate if it can sign. It returns an error only for wrong usage and for an
// interrupt; everything else is in the report.
func (l *checklist) checkCertificate(ctx context.Context, t *target, cer string) (*certtoken.Certificate, error) {
	content, err := t.cert.read(ctx, l.console)
	var opened *openedCert
	if err == nil {
		opened, err = t.cert.openKey(ctx, l.console, content)
		if err == nil && opened.format == formatTPM {
			err = tryTPM(ctx, t, opened)
			opened.pass = content.pass // which was asked for just now
		}
	} else {
		content = &certContent{}
	}
	if err != nil {
		if failure.IsUsage(err) || errors.Is(err, failure.ErrInterrupted) {
			return nil, err
		}
		l.failStage(t, content.pass, err)
		l.skip(checkValidity, "needs the certificate")
		l.skip(checkThumbprint, "needs the certificate")
		return nil, nil
	}
	l.add(l.fileCheck(t, opened.format))
	l.ok(checkPassword, "%s", passwordText(opened.pass))
	if opened.Leaf == nil {
		return l.checkKeyAlone(t, opened.Certificate), nil
	}
	shown := shownPair(opened.Certificate, opened.format, opened.deviations)
	l.add(keyCheck(shown))
	taken := l.checkKeyType(t, shown.pair)
	valid := l.checkValidity(ctx, t, shown)
	l.checkThumbprint(ctx, shown, t.cert.name(), cer)
	if !taken || !valid {
		return nil, nil
	}
	return opened.Certificate, nil
}

// tryTPM has a key of the TPM sign.
func tryTPM(ctx context.Context, t *target, opened *openedCert) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, &timeIsUp{"no signature", t.timeout})
	defer cancel()
	if err := trialOfTPM(ctx, opened.Signer); err != nil {
		return failure.Errorf("%s: %w", t.cert.name(), err)
	}
	return nil
}

// checkKeyAlone checks a key that has no certificate, and returns it if the server may
// take it.
func (l *checklist) checkKeyAlone(t *target, key *certtoken.Certificate) *certtoken.Certificate {
	l.ok(checkKey, "a key without a certificate, its id is %q", key.KeyID)
	taken := l.checkKeyType(t, key)
	l.skip(checkValidity, "a key without a certificate has no end")
	l.skip(checkThumbprint, "needs a certificate: compare the key's id with the one at the server")
	if !taken {
		return nil
	}
	return key
}

// checkKeyType reports whether the server takes this kind of key, as far as that is known
// without asking it.
func (l *checklist) checkKeyType(t *target, cert *certtoken.Certificate) bool {
	kind, bits := keyKind(cert.Signer.Public())
	client, err := certtoken.NewClient(t.authority, t.clientID, cert)
	switch {
	case err == nil:
		_ = client.Close() // nothing was asked
	case failure.IsAny(err, []error{certtoken.ErrNotRSA, certtoken.ErrNoCertificate}):
		l.fail(checkKeyType, failure.Clean(err))
		return false
	}
	if t.entra && cert.Leaf == nil { // its dialect at another endpoint
		l.fail(checkKeyType, errKeyAlone)
		return false
	}
	if t.entra && kind != "RSA" { // the same
		l.fail(checkKeyType, fmt.Errorf("%w: it is %s, and Entra ID takes RSA only: "+
			"make a certificate with an RSA key (certtoken cert new --key rsa)", certtoken.ErrNotRSA, kind))
		return false
	}
	l.ok(checkKeyType, "%s", keySize(kind, bits))
	return true
}

// keyCheck warns of a certificate that crypto/x509 refuses.
func keyCheck(shown *shownCert) check {
	c := check{Name: checkKey, Status: outcomeOK, Detail: fmt.Sprintf("belongs to the certificate %q", shown.subject())}
	if len(shown.deviations) > 0 {
		c.Status = outcomeWarning
		c.Advice = "It is used as it is, but programs in Go may refuse it: " + strings.Join(shown.deviations, "; ")
	}
	return c
}

// failStage reports the check at which reading the file has failed. The checks
// before it are ok, and those after it could not be made.
func (l *checklist) failStage(t *target, pass password, err error) {
	at := failedStage(err)
	for i, stage := range certStages {
		switch {
		case i > at:
			l.skip(stage.name, "needs the %s", certStages[at].name)
		case i == at:
			l.fail(stage.name, err)
		case stage.name == checkFile:
			l.ok(checkFile, "%s", t.cert.name())
		case stage.name == checkPassword:
			l.ok(checkPassword, "%s", passwordText(pass))
		default:
			l.ok(stage.name, "found")
		}
	}
}

func failedStage(err error) int {
	for i, stage := range certStages {
		for _, target := range stage.errors {
			if errors.Is(err, target) {
				return i
			}
		}
	}
	return 0
}

func passwordText(p password) string {
	if !p.given() {
		return "none needed"
	}
	return "accepted, from " + p.from
}

// fileCheck warns of a private key that others can read.
func (l *checklist) fileCheck(t *target, format string) check {
	c := check{Name: checkFile, Status: outcomeOK, Detail: t.cert.name() + ", " + format}
	name := t.cert.file
	if t.cert.key != "" {
		c.Detail += ", key in " + t.cert.key
		name = t.cert.key
	}
	if runtime.GOOS == "windows" || name == "-" {
		return c
	}
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		c.Status = outcomeWarning
		c.Advice = fmt.Sprintf("Others on this machine may read the private key (mode %#o): chmod 600 %s",
			info.Mode().Perm(), shellWord(name))
	}
	return c
}

// checkValidity reports whether the certificate is valid now. Where it isn't, the machine's
// clock may be wrong, so the server's is asked first.
func (l *checklist) checkValidity(ctx context.Context, t *target, shown *shownCert) bool {
	now := time.Now()
	left := shown.leaf.NotAfter.Sub(now)
	l.end = &certificateEnd{
		NotAfter: shown.leaf.NotAfter.UTC().Format(time.RFC3339),
		DaysLeft: int(math.Round(left.Hours() / 24)),
		EndsSoon: left < l.within,
	}
	c := check{Name: checkValidity, Status: outcomeOK, Detail: "until " + shown.validUntil(now)}
	switch {
	case now.Before(shown.leaf.NotBefore):
		c.Status = outcomeFailed
		c.Detail = "valid from " + times.Local(shown.leaf.NotBefore, now)
		c.Advice = "wait until then."
	case now.After(shown.leaf.NotAfter):
		c.Status = outcomeFailed
		c.Detail = "ended on " + times.Local(shown.leaf.NotAfter, now)
		c.Advice = "make a new one with \"certtoken cert new\", and upload its public.cer."
	case left < l.within:
		c.Status = outcomeWarning
		c.Advice = fmt.Sprintf("It ends within %s: make a new one with \"certtoken cert new\", and upload its public.cer "+
			"beside this one.", times.Days(l.within))
	}
	if c.Status == outcomeFailed {
		c.Advice = upperFirst(clockFirst(l.probe(ctx, t), shown, now) + c.Advice)
	}
	l.add(c)
	return c.Status != outcomeFailed
}

// checkThumbprint compares the certificate of a file with the one that was
// uploaded.
func (l *checklist) checkThumbprint(ctx context.Context, shown *shownCert, file, cer string) {
	sum := sha1Of(shown.leaf)
	if cer == "" {
		l.skip(checkThumbprint, "%X: compare it with the portal's, or give --cer FILE", sum)
		return
	}
	data, err := readInput(ctx, l.console, cer, "the certificate that was uploaded", input.MaxFile)
	if err != nil {
		l.fail(checkThumbprint, failure.Errorf("--cer: %w", err))
		return
	}
	uploaded, err := parsePublic(data, "")
	if err != nil {
		l.fail(checkThumbprint, failure.Errorf("--cer: %s: %w", cer, withoutPair(err)).
			Advise("Give --cer the file that was uploaded, DER or PEM."))
		return
	}
	if uploaded.leaf.Equal(shown.leaf) {
		l.ok(checkThumbprint, "%X, the same as in %s", sum, cer)
		return
	}
	l.add(check{
		Name:   checkThumbprint,
		Status: outcomeFailed,
		Detail: fmt.Sprintf("%X, but %X in %s", sum, sha1Of(uploaded.leaf), cer),
		Advice: fmt.Sprintf("%s holds another certificate: upload the public part of %s, or use the private key of %s.",
			cer, file, cer),
	})
}
