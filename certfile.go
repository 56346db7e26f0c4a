package certtoken

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/regularfile"
)

// maxCertFile is how many bytes of a file are read, so that a device or a huge file that
// was named by mistake can't fill the memory. The parser refuses larger files anyway.
const maxCertFile = 1 << 20

// ParseCertificate reads a certificate with its private key from the content
// of a file: PEM, DER or PFX (PKCS #12), or base64 of them as Azure Key Vault
// and CI secret stores hold it. The form is recognised by the content. The leaf is
// the certificate that the key belongs to, wherever it stands in the file.
//
// The key is RSA, EC (P-256, P-384 or P-521) or Ed25519. For a key without a certificate
// there is [ParseKey].
//
// Errors wrap one of [ErrWrongPassword], [ErrPasswordRequired],
// [ErrNoPrivateKey], [ErrNoCertificate], [ErrKeyMismatch],
// [ErrKeySize], [ErrSeveralKeys], [ErrUnsupported], [ErrFormat] and
// [ErrTooLarge], and say what to do. No error holds the password or the key.
func ParseCertificate(data []byte, opts ...CertOption) (*Certificate, error) {
	cert, err := newCertConfig(opts).parse(data, readCertFile)
	return cert, public(err)
}

// parse makes a certificate from a file's content. If there is a key file, parse calls
// read for its content.
func (c certConfig) parse(data []byte, read func(path string) ([]byte, error)) (*Certificate, error) {
	if key, isJWK := jwkIn(data); isJWK {
		if _, err := jwk.ParsePrivate(key); err != nil {
			return nil, jwkError(err)
		}
		return nil, fmt.Errorf("%w: it is a JWK%s", ErrNoCertificate, seeKeyFile)
	}
	opts := c.options()
	if c.keyFile != "" {
		key, err := read(c.keyFile)
		if err != nil {
			return nil, err
		}
		opts.Key = key
	}
	pair, err := certfile.Parse(data, opts)
	switch {
	case errors.Is(err, ErrNoCertificate) && !errors.Is(err, ErrNoPrivateKey):
		return nil, fmt.Errorf("%w%s", err, seeKeyFile)
	case err != nil:
		return nil, aboutPassword(err, opts.Password)
	}
	cert, err := newCertificate(pair.Key, pair.Leaf, pair.Chain)
	if err != nil {
		return nil, err
	}
	cert.format, cert.deviations = pair.Format, pair.Deviations
	return cert, nil
}

// seeKeyFile ends the error about a file that has a key and no certificate.
const seeKeyFile = "; where the server takes a key without a certificate, KeyFile and ParseKey read it"

// jwkIn returns the JWK in a file's content, which may be in base64 as stores of secrets
// hold it. Otherwise it returns the content.
func jwkIn(data []byte) ([]byte, bool) {
	if jwk.Is(data) {
		return data, true
	}
	text := strings.TrimRight(strings.TrimSpace(string(data)), "=")
	if len(text) > 2*jwk.MaxKey {
		return data, false
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if decoded, err := encoding.DecodeString(text); err == nil && jwk.Is(decoded) {
			return decoded, true
		}
	}
	return data, false
}

// aboutPassword adds to an error about the password what to do.
func aboutPassword(err error, password string) error {
	switch {
	case errors.Is(err, ErrPasswordRequired):
		return fmt.Errorf("%w (WithPassword)", err)
	case errors.Is(err, ErrWrongPassword) && password == "":
		return fmt.Errorf("%w: the empty one was given; is the variable that holds it set?", err)
	case errors.Is(err, ErrWrongPassword) && strings.TrimSpace(password) != password:
		return fmt.Errorf("%w: the one given begins or ends with white space; "+
			"is that of the file it was read from?", err)
	}
	return err
}

// CertOption says how a certificate file, or a key file, is read.
type CertOption func(*certConfig)

type certConfig struct {
	password   func() string // nil: none; a function, so that no print or dump can show it
	keyFile    string
	thumbprint string
	noRollback bool
	forKey     bool // a key without a certificate is wanted
}

// options are the settings in the form that internal/certfile takes.
func (c certConfig) options() certfile.Options {
	opts := certfile.Options{Thumbprint: c.thumbprint}
	if c.password != nil {
		opts.Password, opts.HasPassword = c.password(), true
	}
	return opts
}

func newCertConfig(opts []CertOption) certConfig {
	var cfg certConfig
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return cfg
}

// WithPassword gives the password of a PFX or of an encrypted key. An empty password
// is not the same as no password. A password that isn't needed is ignored.
func WithPassword(password string) CertOption {
	return func(c *certConfig) { c.password = func() string { return password } }
}

// WithKeyFile names a second file that holds the private key. [ParseCertificate]
// reads it too.
func WithKeyFile(path string) CertOption {
	return func(c *certConfig) { c.keyFile = path }
}

// WithThumbprint selects one of several certificates in a file, by the SHA-1
// or SHA-256 of its DER form in hex (colons and spaces are ignored) or base64url.
func WithThumbprint(thumbprint string) CertOption {
	return func(c *certConfig) { c.thumbprint = thumbprint }
}

// WithoutRollback makes a [CertFile] or [KeyFile] never sign again with a pair that was replaced,
// even if the token endpoint refuses the new one. Use it when a key may have leaked:
// without it the replaced key can sign for up to a day ([FileSource]).
// [ParseCertificate] and [ParseKey] ignore it.
func WithoutRollback() CertOption {
	return func(c *certConfig) { c.noRollback = true }
}

// readCertFile reads a file that is read only once, so it may be a pipe.
func readCertFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, certFileError(path, err)
	}
	defer f.Close()
	data, err := exchange.ReadAll(f, maxCertFile)
	return data, certFileError(path, err)
}

// certFileError adds to an error which file was to be read.
func certFileError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exchange.ErrTooLong), errors.Is(err, regularfile.ErrTooLarge):
		return fmt.Errorf("%s: %w: it has over %d bytes", path, ErrTooLarge, maxCertFile)
	}
	return fmt.Errorf("certificate file: %w", err)
}
