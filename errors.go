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
	ErrSeveralKeys      = certfile.ErrSeveralKeys      // several pairs: select one with WithThumbprint
	ErrUnsupported      = certfile.ErrUnsupported      // an algorithm that isn't known, by name
	ErrFormat           = certfile.ErrFormat           // JKS, P7B, CSR, HTML, truncated, empty …
	ErrTooLarge         = certfile.ErrTooLarge         // a file that asks for too much memory or time

	ErrExpired     = errors.New("the certificate has expired")
	ErrNotYetValid = errors.New("the certificate is not valid yet")
)

var (
	// ErrClosed is what a [Client] answers after Close.
	ErrClosed = errors.New("certtoken: the client is closed")

	errNotMade = errors.New("certtoken: this client was not made by NewClient")

	// ErrBadResponse is an answer of the token endpoint that is neither a token
	// nor an OAuth error: HTML, a redirect, no access token, an absurd
	// expires_in, over 1 MiB.
	ErrBadResponse = exchange.ErrBadResponse

	// ErrShortLived says that the token endpoint doesn't grant tokens as long as
	// [Request.MinValidity] asks for.
	ErrShortLived = errors.New("the token endpoint grants shorter tokens than asked for")
)

// prefix begins every error that a caller gets.
const prefix = "certtoken: "

// callerError is an error of the cache as a caller gets it: what the cache says of
// its own in the words of this package, and everything with the prefix, once.
func callerError(err error) error {
	var short *cache.ShortLivedError[Token]
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cache.ErrClosed):
		return ErrClosed
	case errors.As(err, &short):
		return fmt.Errorf(prefix+"%w: a new token ends at %s, wanted is %v from now",
			ErrShortLived, short.Token.ExpiresAt().UTC().Format(time.RFC3339), short.Wanted)
	case strings.HasPrefix(err.Error(), prefix):
		return err
	}
	return fmt.Errorf(prefix+"%w", err)
}
