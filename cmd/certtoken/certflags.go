package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/certfile"
)

// certFlags say which certificate is used and how its file is opened.
type certFlags struct {
	file     string
	key      string
	selected string
	password passwordFlags
}

// addTo adds the flags that go with a certificate's file.
func (f *certFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key, if it isn't in the certificate's")
	flags.StringVar(&f.selected, "select", "", "`THUMBPRINT` of the certificate to use, if the file has several")
	f.password.fallback = envPassword
	f.password.addTo(flags, "the certificate's password")
}

// name is what messages call the file.
func (f *certFlags) name() string {
	if f.file == "-" {
		return "standard input"
	}
	return f.file
}

// certContent is what the files hold. A pipe can be read only once, so it is
// read before anything is tried.
type certContent struct {
	cert []byte
	key  []byte // nil without --key
	pass password
}

// read reads the files and the password that the flags name.
func (f *certFlags) read(ctx context.Context, c *console.Console) (*certContent, error) {
	switch {
	case f.key == "-":
		return nil, failure.Usagef("--key can't be standard input: give the certificate there, with its key")
	case f.file == "-" && f.password.file == "-":
		return nil, failure.Usagef("only one of certificate and password can come from standard input")
	case f.selected != "" && !certfile.IsThumbprint(f.selected):
		return nil, failure.Usagef("--select %q is not a thumbprint", f.selected).
			Advise("Give the certificate's SHA-1 or SHA-256 as \"certtoken cert show\" prints it.")
	}
	pass, err := f.password.read(ctx, c)
	if err != nil {
		return nil, err
	}
	content := &certContent{pass: pass}
	if content.cert, err = input.File(f.file, c.In).Read(ctx); err != nil {
		return nil, err
	}
	if f.key != "" {
		if content.key, err = input.File(f.key, c.In).Read(ctx); err != nil {
			return nil, failure.Errorf("--key: %w", err)
		}
	}
	return content, nil
}

// openedCert is a certificate with its key, and how it was found.
type openedCert struct {
	*certtoken.Certificate
	format     string
	deviations []string // what crypto/x509 refuses about it
	pass       password
}

// load reads the files and finds the certificate and its key in them.
func (f *certFlags) load(ctx context.Context, c *console.Console) (*openedCert, error) {
	content, err := f.read(ctx, c)
	if err != nil {
		return nil, err
	}
	return f.open(ctx, c, content)
}

// open finds the certificate and its key in what was read. If they need a
// password and there is a person to ask, it asks; the content then holds it.
func (f *certFlags) open(ctx context.Context, c *console.Console, content *certContent) (*openedCert, error) {
	opened, err := f.parse(content)
	if !errors.Is(err, certtoken.ErrPasswordRequired) || !c.Interactive() {
		return opened, f.explain(err, content.pass)
	}
	text, err := c.Prompt(ctx, "Password of "+f.name())
	if err != nil {
		return nil, err
	}
	content.pass = newPassword(text, fromTerminal)
	opened, err = f.parse(content)
	return opened, f.explain(err, content.pass)
}

func (f *certFlags) parse(content *certContent) (*openedCert, error) {
	opened := &openedCert{pass: content.pass}
	opts := certfile.Options{Key: content.key, Thumbprint: f.selected}
	if content.pass.given() {
		opts.Password, opts.HasPassword = content.pass.reveal(), true
	}
	pair, err := certfile.Parse(content.cert, opts)
	if err != nil {
		return opened, err
	}
	opened.format, opened.deviations = pair.Format, pair.Deviations
	opened.Certificate, err = certtoken.NewCertificate(pair.Key, pair.Leaf, pair.Chain)
	return opened, failure.Clean(err)
}

// explain adds to an error which file it is about and, if the password is wrong,
// where the password came from.
func (f *certFlags) explain(err error, pass password) error {
	if err == nil {
		return nil
	}
	named := failure.Errorf("%s: %w", f.name(), err)
	if !errors.Is(err, certtoken.ErrWrongPassword) {
		return named
	}
	named.Advise("The password came from " + pass.from + ".")
	switch text := pass.reveal(); {
	case text == "":
		named.Advise("It is empty: is the variable or the file that should hold it empty too?")
	case strings.TrimSpace(text) != text:
		named.Advise("It begins or ends with white space: does that belong to it?")
	}
	if pass.from == "environment variable "+envPassword {
		named.Advise("--password-env and --password-file win over it.")
	}
	return named
}

// show finds what there is: the pair, or, in a file that holds no key, the
// certificate alone. A key that is damaged or of a kind that can't be used is an
// error: the certificate alone would look as if there were none.
func (f *certFlags) show(ctx context.Context, c *console.Console, content *certContent) (*shownCert, error) {
	opened, err := f.open(ctx, c, content)
	switch {
	case err == nil:
		return shownPair(opened.Certificate, opened.format, opened.deviations), nil
	case content.key != nil, !errors.Is(err, certtoken.ErrNoPrivateKey), keyLabel.Match(withoutZeros(content.cert)):
		return nil, err
	}
	shown, publicErr := parsePublic(content.cert, f.selected)
	switch {
	case errors.Is(publicErr, certfile.ErrSeveralCertificates), errors.Is(publicErr, certtoken.ErrNoCertificate):
		return nil, f.explain(publicErr, content.pass)
	case publicErr != nil:
		return nil, err
	}
	return shown, nil
}

// withoutZeros makes ASCII of UTF-16.
func withoutZeros(data []byte) []byte { return bytes.ReplaceAll(data, []byte{0}, nil) }

// keyLabel is in the first line of every private key in PEM, also of one that the
// library can't use, such as a TPM's, and of one whose dashes something has
// replaced.
var keyLabel = regexp.MustCompile(`(?i)(?:BEGIN|END) [A-Z0-9 ]{0,64}PRIVATE KEY|PRIVATE KEY\s?[\p{Pd}\x{2212}\x{fffd}]`)
