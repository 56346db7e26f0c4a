package certtoken

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/exchange"
)

// What can be wrong with a certificate or its file. Errors wrap these with the
// detail; use [errors.Is].
var (
	ErrWrongPassword    = certfile.ErrWrongPassword    // the password doesn't open the file
	ErrPasswordRequired = certfile.ErrPasswordRequired // the file is encrypted and no password was given
	ErrNoPrivateKey     = certfile.ErrNoPrivateKey     // only certificates, or a public key
	ErrNoCertificate    = certfile.ErrNoCertificate    // only a key
	ErrKeyMismatch      = certfile.ErrKeyMismatch      // the key doesn't belong to the certificate
	ErrNotRSA           = certfile.ErrNotRSA           // an EC or Ed25519 key
	ErrKeySize          = certfile.ErrKeySize          // an RSA key that's too short or absurdly long
	ErrSeveralKeys      = certfile.ErrSeveralKeys      // several certificates with keys: select one by WithThumbprint
	ErrUnsupported      = certfile.ErrUnsupported      // an algorithm that isn't known; the error names it
	ErrFormat           = certfile.ErrFormat           // JKS, P7B, CSR, HTML, truncated, empty …
	ErrTooLarge         = certfile.ErrTooLarge         // a file that asks for too much memory or time

	ErrExpired     = errors.New("the certificate has expired")
	ErrNotYetValid = errors.New("the certificate is not valid yet")
)

var (
	// ErrClosed is what a [Client] answers after Close.
	ErrClosed = errors.New("certtoken: the client is closed")

	errNotMade = errors.New(prefix + "this client was not made by NewClient")

	// ErrBadResponse is an answer of the token endpoint that is neither a token
	// nor a refusal: HTML, a redirect, JSON without an access token, a token of
	// another type than was asked for ([WithTokenType]), more than 1 MiB.
	ErrBadResponse = errors.New("unusable answer from the token endpoint")

	// ErrShortLived says that the token endpoint doesn't grant tokens that live as long
	// as [Request.MinValidity] asks for.
	ErrShortLived = errors.New("the token endpoint grants shorter tokens than asked for")
)

// prefix begins the text of every error that leaves this package, once. Errors that stay
// within the package are without it.
const prefix = "certtoken: "

// public is an error as it leaves this package. Every exported function passes
// its error through it.
func public(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), prefix) { // from another exported function
		return err
	}
	return &publicError{err}
}

// publicError is an error with the prefix before its text.
type publicError struct{ cause error }

func (e *publicError) Error() string { return prefix + e.cause.Error() }
func (e *publicError) Unwrap() error { return e.cause }

// inner is an error of an exported function as a part of another error's text.
func inner(err error) error {
	if !strings.HasPrefix(err.Error(), prefix) {
		return err
	}
	return &innerError{err}
}

// innerError is an error without the prefix before its text.
type innerError struct{ cause error }

func (e *innerError) Error() string { return strings.TrimPrefix(e.cause.Error(), prefix) }
func (e *innerError) Unwrap() error { return e.cause }

// badResponse makes the caller's error of an unusable answer.
func badResponse(u *exchange.Unusable) error {
	what := "is it the token endpoint, and is there a proxy in between?"
	if u.UnknownType {
		what = `if this server means Bearer by it, give WithTokenType("Bearer")`
	}
	return fmt.Errorf("%s: %w (%s); %s", u.Endpoint, ErrBadResponse, u.Detail(), what)
}

// callerError makes the caller's error of one that came through the cache. The cache's
// own errors are replaced by those of this package.
func callerError(err error) error {
	var short *cache.ShortLivedError[Token]
	switch {
	case errors.Is(err, cache.ErrClosed):
		return ErrClosed
	case errors.As(err, &short):
		err = fmt.Errorf("%w: a new token ends at %s, wanted is %v from now",
			ErrShortLived, short.Token.ExpiresAt().UTC().Format(time.RFC3339), short.Wanted)
	}
	return public(err)
}
