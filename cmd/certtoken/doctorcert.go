package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/certtoken/certtoken"
)

// certStages are the checks that one reading of the file comes to, and the
// errors by which each fails. What is none of these is a matter of the file.
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
// certificate if it can sign. Its error is wrong usage, or an interrupt.
func (d *doctorCommand) checkCertificate(ctx context.Context, t *target) (*certtoken.Certificate, error) {
	cert, pass, err := t.cert.load(ctx, d.console)
	if err != nil {
		if exitStatus(err) == exitUsage || errors.Is(err, errInterrupted) {
			return nil, err
		}
		d.failStage(t, pass, err)
		d.skip(checkValidity, "needs the certificate")
		d.skip(checkThumbprint, "needs the certificate")
		return nil, nil
	}
	shown := certOf(cert)
	d.add(d.fileCheck(t, shown.format))
	d.ok(checkPassword, "%s", passwordText(pass))
	d.ok(checkKey, "belongs to the certificate %q", shown.subject())
	kind, bits := shown.keyKind()
	d.ok(checkKeyType, "%s, %d bits", kind, bits)
	valid := d.checkValidity(shown)
	d.checkThumbprint(shown)
	if !valid {
		return nil, nil
	}
	return cert, nil
}

// failStage marks the stage at which reading the file failed: those before it
// are good, those after it unknown.
func (d *doctorCommand) failStage(t *target, pass password, err error) {
	at := failedStage(err)
	for i, stage := range certStages {
		switch {
		case i > at:
			d.skip(stage.name, "needs the %s", certStages[at].name)
		case i == at:
			d.fail(stage.name, err)
		case stage.name == checkFile:
			d.ok(checkFile, "%s", t.cert.name())
		case stage.name == checkPassword:
			d.ok(checkPassword, "%s", passwordText(pass))
		default:
			d.ok(stage.name, "found")
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
func (d *doctorCommand) fileCheck(t *target, format string) check {
	c := check{Name: checkFile, Status: statusOK, Detail: t.cert.name() + ", " + format}
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
		c.Advice = fmt.Sprintf("Others on this machine may read the private key (mode %#o): chmod 600 %s", info.Mode().Perm(), shellWord(name))
	}
	return c
}

func (d *doctorCommand) checkValidity(shown *shownCert) bool {
	now := time.Now()
	c := check{Name: checkValidity, Status: statusOK, Detail: "until " + shown.validUntil(now)}
	switch {
	case now.Before(shown.leaf.NotBefore):
		c.Status = statusFailed
		c.Detail = "valid from " + localTime(shown.leaf.NotBefore, now)
		c.Advice = "Set the clock of this machine, or wait."
	case now.After(shown.leaf.NotAfter):
		c.Status = statusFailed
		c.Detail = "ended on " + localTime(shown.leaf.NotAfter, now)
		c.Advice = "Make a new one with \"certtoken cert new\", and upload its public.cer."
	case shown.leaf.NotAfter.Sub(now) < expiryWarning:
		c.Advice = "It ends soon: make a new one with \"certtoken cert new\" and upload its public.cer beside this one."
	}
	d.add(c)
	return c.Status == statusOK
}

// checkThumbprint compares the certificate with the one that was uploaded.
func (d *doctorCommand) checkThumbprint(shown *shownCert) {
	sum := sha1Of(shown.leaf)
	if d.cer == "" {
		d.skip(checkThumbprint, "%X: compare it with the portal's, or give --cer FILE", sum)
		return
	}
	data, err := readFile(d.console, d.cer)
	if err != nil {
		d.fail(checkThumbprint, err)
		return
	}
	uploaded, err := parsePublic(data, "")
	if err != nil {
		d.fail(checkThumbprint, failf("%s: %w", d.cer, err).advise("Give the file that was uploaded, DER or PEM."))
		return
	}
	if uploaded.leaf.Equal(shown.leaf) {
		d.ok(checkThumbprint, "%X, the same as in %s", sum, d.cer)
		return
	}
	d.add(check{
		Name:   checkThumbprint,
		Status: statusFailed,
		Detail: fmt.Sprintf("%X, but %X in %s", sum, sha1Of(uploaded.leaf), d.cer),
		Advice: fmt.Sprintf("%s holds another certificate: upload the public part of %s, or use the private key of %s.", d.cer, d.target.cert.name(), d.cer),
	})
}
