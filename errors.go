package certtoken

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// What can be wrong with a certificate, a key or their files. Errors wrap these with the
// detail; use [errors.Is].
var (
	ErrWrongPassword    = certfile.ErrWrongPassword    // the password doesn't open the file
	ErrPasswordRequired = certfile.ErrPasswordRequired // the file is encrypted and no password was given
	ErrNoPrivateKey     = certfile.ErrNoPrivateKey     // only certificates, or a public key
	ErrNoCertificate    = certfile.ErrNoCertificate    // only a key
	ErrKeyMismatch      = certfile.ErrKeyMismatch      // the key doesn't belong to the certificate, or to its public half
	ErrNotRSA           = certfile.ErrNotRSA           // an EC or Ed25519 key, where only RSA is taken: Entra ID, ADFS
	ErrKeySize          = certfile.ErrKeySize          // an RSA key that's too short or absurdly long
	ErrSeveralKeys      = certfile.ErrSeveralKeys      // several certificates with keys: select one by WithThumbprint
	ErrUnsupported      = certfile.ErrUnsupported      // an algorithm or a type of key: errors.ErrUnsupported too
	ErrFormat           = certfile.ErrFormat           // JKS, P7B, CSR, HTML, truncated, empty …
	ErrTooLarge         = certfile.ErrTooLarge         // a file that asks for too much memory or time

	ErrExpired     = errors.New("the certificate has expired")
	ErrNotYetValid = errors.New("the certificate is not valid yet")
)

var (
	// ErrClosed is what a [Client] answers after Close.
	ErrClosed = errors.New("certtoken: the client is closed")

	// ErrStoreMiss is what a [Store] returns for a key that it doesn't have.
	ErrStoreMiss = errors.New(prefix + "not in the store")

	// ErrSignInRequired says that a [Session] is over, or that the server wants something
	// which only the user can do: the user must sign in again.
	ErrSignInRequired = errors.New("the user must sign in again")

	// errNoAccessToken is about what a token exchange issued.
	errNoAccessToken = errors.New("this is no access token (its type is N_A), so no resource takes it: " +
		"Token.AccessToken returns it, to be given to whom it was issued for, as by BearerAssertion")

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

// kindError is an error of one of the kinds above, with a text of its own.
type kindError struct {
	kind  error
	cause error
}

func (e *kindError) Error() string   { return e.cause.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.cause} }

// jwkError makes of an error about a JWK one of the kinds that this package has. Their
// texts are about certificates, so the error has its own.
func jwkError(err error) error {
	for of, kind := range jwkErrors {
		if errors.Is(err, of) {
			return &kindError{kind, fmt.Errorf("the JWK can't be used: %w", err)}
		}
	}
	return err
}

var jwkErrors = map[error]error{
	jwk.ErrFormat: ErrFormat, jwk.ErrNoPrivate: ErrNoPrivateKey, jwk.ErrMismatch: ErrKeyMismatch,
	jwk.ErrUnsupported: ErrUnsupported, jwk.ErrTooLarge: ErrTooLarge,
	jws.ErrNoKey: ErrNoPrivateKey, jws.ErrKeyType: ErrUnsupported, jws.ErrKeySize: ErrKeySize,
}

// badResponse makes the caller's error of an unusable answer.
func badResponse(u *exchange.Unusable) error {
	what := cmp.Or(u.Todo, "is it the token endpoint, and is there a proxy in between?")
	if u.UnknownType {
		what = `if this server means Bearer by it, give WithTokenType("Bearer")`
	}
	return fmt.Errorf("%s: %w (%s); %s", u.Endpoint, ErrBadResponse, u.Detail(), what)
}

// callerError makes the caller's error of one that came through the cache. The cache's
// own errors are replaced by those of this package.
func callerError(err error) error {
	if err == nil {
		return nil
	}
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
