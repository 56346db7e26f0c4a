package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
)

// expiryWarning is how long before a certificate's end the doctor warns.
const expiryWarning = 30 * 24 * time.Hour

// certStages are the checks that reading the file stands for, in their order, each
// with the errors that mean that it failed. Any other error counts for the first.
var certStages = []struct {
	name   string
	errors []error
}{
	{checkFile, []error{certtoken.ErrFormat, certtoken.ErrTooLarge, certtoken.ErrUnsupported}},
	{checkPassword, []error{certtoken.ErrPasswordRequired, certtoken.ErrWrongPassword}},
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
		opened, err = t.cert.open(ctx, l.console, content)
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
	shown := shownPair(opened.Certificate, opened.format, opened.deviations)
	l.add(l.fileCheck(t, shown.format))
	l.ok(checkPassword, "%s", passwordText(opened.pass))
	l.add(keyCheck(shown))
	kind, bits := shown.keyKind()
	l.ok(checkKeyType, "%s, %d bits", kind, bits)
	valid := l.checkValidity(shown)
	l.checkThumbprint(ctx, shown, t.cert.name(), cer)
	if !valid {
		return nil, nil
	}
	return opened.Certificate, nil
}

// keyCheck warns of a certificate that crypto/x509 refuses.
func keyCheck(shown *shownCert) check {
	c := check{Name: checkKey, Status: outcomeOK, Detail: fmt.Sprintf("belongs to the certificate %q", shown.subject())}
	if len(shown.deviations) > 0 {
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
		c.Advice = fmt.Sprintf("Others on this machine may read the private key (mode %#o): chmod 600 %s",
			info.Mode().Perm(), shellWord(name))
	}
	return c
}

func (l *checklist) checkValidity(shown *shownCert) bool {
	now := time.Now()
	c := check{Name: checkValidity, Status: outcomeOK, Detail: "until " + shown.validUntil(now)}
	switch {
	case now.Before(shown.leaf.NotBefore):
		c.Status = outcomeFailed
		c.Detail = "valid from " + times.Local(shown.leaf.NotBefore, now)
		c.Advice = "Set the clock of this machine, or wait."
	case now.After(shown.leaf.NotAfter):
		c.Status = outcomeFailed
		c.Detail = "ended on " + times.Local(shown.leaf.NotAfter, now)
		c.Advice = "Make a new one with \"certtoken cert new\", and upload its public.cer."
	case shown.leaf.NotAfter.Sub(now) < expiryWarning:
		c.Advice = "It ends soon: make a new one with \"certtoken cert new\" and upload its public.cer beside this one."
	}
	l.add(c)
	return c.Status == outcomeOK
}

// checkThumbprint compares the certificate of a file with the one that was
// uploaded.
func (l *checklist) checkThumbprint(ctx context.Context, shown *shownCert, file, cer string) {
	sum := sha1Of(shown.leaf)
	if cer == "" {
		l.skip(checkThumbprint, "%X: compare it with the portal's, or give --cer FILE", sum)
		return
	}
	data, err := input.File(cer, l.console.In).Read(ctx)
	if err != nil {
		l.fail(checkThumbprint, err)
		return
	}
	uploaded, err := parsePublic(data, "")
	if err != nil {
		l.fail(checkThumbprint, failure.Errorf("%s: %w", cer, err).
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
