package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// certFlags say which certificate is used and how its file is opened.
type certFlags struct {
	file     string
	from     string // the flag or the variable that names the file; "": it is an argument
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
	if content.cert, err = readInput(ctx, c, f.file, "the certificate", input.MaxFile); err != nil {
		return nil, f.named(err)
	}
	if f.key != "" {
		if content.key, err = readInput(ctx, c, f.key, "the key", input.MaxFile); err != nil {
			return nil, failure.Errorf("--key: %w", err)
		}
	}
	return content, nil
}

// named is an error about reading the file, behind the name of the flag or the variable.
func (f *certFlags) named(err error) error {
	switch {
	case strings.HasPrefix(strings.ToLower(f.file), "cert:"):
		return failure.Errorf("%s is in the Windows certificate store, which this program doesn't read", f.name()).
			Advise("Export it in PowerShell, if its key may be exported, and give the file:",
				"Export-PfxCertificate -Cert "+f.name()+" -FilePath private.pfx -Password (Read-Host -AsSecureString)")
	case f.from == "" || errors.Is(err, failure.ErrInterrupted):
		return err
	}
	return failure.Errorf("%s: %w", f.from, err)
}

// openedCert is a certificate with its key, and how it was found.
type openedCert struct {
	*certtoken.Certificate
	format     string
	deviations []string // what crypto/x509 refuses about it
	pass       password
}

// load reads the files and finds in them the certificate and its key, or a key alone.
// Whether a key alone will do is for the server's dialect to say.
func (f *certFlags) load(ctx context.Context, c *console.Console) (*openedCert, error) {
	content, err := f.read(ctx, c)
	if err != nil {
		return nil, err
	}
	return f.openKey(ctx, c, content)
}

// open finds the certificate and its key in what was read. If they need a
// password and there is a person to ask, it asks; the content then holds it.
func (f *certFlags) open(ctx context.Context, c *console.Console, content *certContent) (*openedCert, error) {
	if content.tpmKey() != nil {
		opened, err := f.openTPM(ctx, c, content)
		return opened, f.explain(err, content.pass)
	}
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

// openKey finds a private key, and its certificate where there is one.
func (f *certFlags) openKey(ctx context.Context, c *console.Console, content *certContent) (*openedCert, error) {
	if !jwk.Is(content.cert) {
		opened, err := f.open(ctx, c, content)
		if err == nil {
			return opened, nil
		}
		if errors.Is(err, certtoken.ErrFormat) { // not a certificate file, but perhaps the base64 of a JWK
			if key, keyErr := parseKey(content); keyErr == nil {
				return openedKey(key, content), nil
			}
		}
		if !errors.Is(err, certtoken.ErrNoCertificate) || f.selected != "" {
			return nil, err
		}
	}
	if content.tpmKey() != nil {
		key, err := f.loadTPM(ctx, c, content, tpm.WithoutCertificate())
		return openedKey(key, content), f.explain(err, content.pass)
	}
	key, err := parseKey(content)
	if errors.Is(err, certtoken.ErrPasswordRequired) && c.Interactive() {
		text, err := c.Prompt(ctx, "Password of "+f.name())
		if err != nil {
			return nil, err
		}
		content.pass = newPassword(text, fromTerminal)
		key, err = parseKey(content)
		return openedKey(key, content), f.explain(err, content.pass)
	}
	return openedKey(key, content), f.explain(err, content.pass)
}

// openedKey is a key that was found alone.
func openedKey(key *certtoken.Certificate, content *certContent) *openedCert {
	opened := &openedCert{Certificate: key, pass: content.pass, format: "a key alone"}
	if content.tpmKey() != nil {
		opened.format = formatTPM
	}
	if key != nil && key.FileFormat() != "" {
		opened.format = key.FileFormat()
	}
	return opened
}

// tpmKey is the file that holds a key of a TPM, or nil.
func (content *certContent) tpmKey() []byte {
	for _, data := range [][]byte{content.key, content.cert} {
		if isTPMKey(data) {
			return data
		}
	}
	return nil
}

// openTPM opens a key of the TPM and its certificate.
func (f *certFlags) openTPM(ctx context.Context, c *console.Console, content *certContent) (*openedCert, error) {
	opened := &openedCert{pass: content.pass, format: formatTPM}
	certs := withoutTPMKey(content.cert)
	if len(bytes.TrimSpace(certs)) == 0 {
		return opened, fmt.Errorf("%w beside the TPM's key: give its certificate by --cert, and this file by --key",
			certtoken.ErrNoCertificate)
	}
	file, err := certfile.ParseWithoutKey(certs, f.selected)
	if err != nil {
		return opened, err
	}
	opened.deviations = file.Deviations
	opened.Certificate, err = f.loadTPM(ctx, c, content, tpm.WithCertificate(file.Leaf), tpm.WithIssuers(file.Chain...))
	return opened, err
}

// loadTPM reads a key of the TPM. The password is asked for when the key signs.
func (f *certFlags) loadTPM(
	ctx context.Context,
	c *console.Console,
	content *certContent,
	opts ...tpm.Option,
) (*certtoken.Certificate, error) {
	password := func(ctx context.Context) (string, error) {
		if !content.pass.given() && c.Interactive() {
			text, err := c.Prompt(ctx, "Password of the key "+f.name())
			if err != nil {
				return "", err
			}
			content.pass = newPassword(text, fromTerminal)
		}
		return content.pass.reveal(), nil
	}
	if content.pass.given() || c.Interactive() {
		opts = append(opts, tpm.WithPassword(password))
	}
	source, err := tpm.FromData(content.tpmKey(), tpmOptions(opts...)...)
	if err != nil {
		return nil, failure.Clean(err)
	}
	cert, err := source.Certificate(ctx)
	if errors.Is(err, certtoken.ErrNoPrivateKey) { // its first line is there
		return nil, failure.Errorf("%w: the TSS2 PRIVATE KEY is cut off or damaged", certtoken.ErrNoPrivateKey).
			Advise("Copy the file again, with all lines from BEGIN to END TSS2 PRIVATE KEY.")
	}
	return cert, failure.Clean(err)
}

func parseKey(content *certContent) (*certtoken.Certificate, error) {
	var opts []certtoken.CertOption
	if content.pass.given() {
		opts = append(opts, certtoken.WithPassword(content.pass.reveal()))
	}
	key, err := certtoken.ParseKey(content.cert, opts...)
	return key, failure.Clean(err)
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
	case content.key != nil, !errors.Is(err, certtoken.ErrNoPrivateKey), keyLabel().Match(withoutZeros(content.cert)):
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
var keyLabel = lazyregexp.New(`(?i)(?:BEGIN|END) [A-Z0-9 ]{0,64}PRIVATE KEY|PRIVATE KEY\s?[\p{Pd}\x{2212}\x{fffd}]`)
