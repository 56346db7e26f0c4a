package certfile

import (
	"errors"
	"fmt"
)

// What can be wrong with a file. Parse wraps them with the detail; the texts
// say what to do.
var (
	ErrWrongPassword    = errors.New("wrong password")
	ErrPasswordRequired = errors.New("the file is encrypted: a password is needed")
	ErrNoPrivateKey     = errors.New("no private key")
	ErrNoCertificate    = errors.New("no certificate")
	ErrKeyMismatch      = errors.New("the private key does not belong to the certificate")
	ErrNotRSA           = errors.New("not an RSA key")
	ErrKeySize          = errors.New("unacceptable RSA key size")
	ErrSeveralKeys      = errors.New("several certificates with their keys: select one by its thumbprint")
	ErrUnsupported      = error(unsupported("unsupported algorithm"))
	ErrFormat           = errors.New("not a certificate file with its key") // JKS, CSR, HTML, empty, truncated …
	ErrTooLarge         = errors.New("the file asks for more than is reasonable")
)

// unsupported is a sentinel that is [errors.ErrUnsupported] too, as programs expect of
// what isn't supported.
type unsupported string

func (e unsupported) Error() string        { return string(e) }
func (e unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// detailError says what a file is in its own words and answers errors.Is for
// every sentinel that applies.
type detailError struct {
	text  string
	kinds []error
}

func (e *detailError) Error() string   { return e.text }
func (e *detailError) Unwrap() []error { return e.kinds }

// formatError is ErrFormat with its detail.
func formatError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// otherAlgorithm is the error for an encryption, a derivation or an integrity check that
// isn't known here.
func otherAlgorithm(what string, alg fmt.Stringer) error {
	return fmt.Errorf("%w: %s with %s; have the file written again with AES-256-CBC, PBKDF2 and HMAC-SHA-256, "+
		"as \"openssl pkcs12 -export\" and \"openssl pkcs8 -topk8\" do", ErrUnsupported, what, alg)
}

// errKey: a private key whose structure can't be read.
var errKey = formatError("the private key is broken")
