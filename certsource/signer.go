package certsource

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
)

// maxLeft is how many calls of the function may be under way that their callers have left. A
// function that hangs in spite of its context would otherwise fill the memory.
const maxLeft = 64

// lastWord is how long a caller whose context has ended waits for the function to say so
// itself: it knows what it waited for.
const lastWord = 100 * time.Millisecond

// Sign has a key sign. The request is the function's own, to keep or to write into. An ECDSA
// signature may be in ASN.1, or its two numbers one after the other, as PKCS #11 and vaults
// return them: each in full length (RFC 7518 §3.4), or both in fewer bytes, but equally many.
// The error for what the key can't do wraps [errors.ErrUnsupported];
// [certtoken.WithPSSFallback] asks for PS256 in vain and then for RS256.
type Sign func(ctx context.Context, r SignRequest) ([]byte, error)

// Signer is a [certtoken.ContextSigner] that calls a function. Each signature is checked
// with the public key before it is returned; that takes less than a millisecond. A caller
// whose context ends leaves, and the function's result is dropped. A panic of the function
// is an error without what it said.
//
// A Signer may be used from many goroutines, and calls the function from as many. Make one
// with [NewSigner].
type Signer struct {
	name   string
	public crypto.PublicKey
	sign   Sign
	left   atomic.Int64 // calls whose callers have left
}

var _ certtoken.ContextSigner = (*Signer)(nil)

// NewSigner makes a signer of a function. The name stands before the text of every error,
// and says which key it is. The public key is RSA of 2048 to 16384 bits, EC on P-256, P-384
// or P-521, or Ed25519; the error for another one wraps [certtoken.ErrUnsupported],
// [certtoken.ErrKeySize] or [certtoken.ErrNoPrivateKey].
func NewSigner(name string, public crypto.PublicKey, sign Sign) (*Signer, error) {
	if name == "" {
		return nil, errors.New("certsource: no name: it says in errors which key it is")
	}
	if sign == nil {
		return nil, errors.New("certsource: no function that signs")
	}
	s := &Signer{name: name, public: public, sign: sign}
	if _, err := certtoken.NewKey(s, "checks the public key"); err != nil {
		return nil, s.named(err)
	}
	return s, nil
}

// Public returns the public key.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign is [Signer.SignContext] for callers without a context.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.SignContext(context.Background(), digest, opts)
}

// SignContext has the key sign a digest of SHA-256, SHA-384 or SHA-512 by
// RSASSA-PKCS1-v1_5, RSASSA-PSS with a salt as long as the hash, or ECDSA; or a message by
// Ed25519. An ECDSA signature is in ASN.1, as [crypto.Signer] has it. The error for
// everything else wraps [errors.ErrUnsupported], and that for a signature which doesn't
// verify [certtoken.ErrKeyMismatch]. An answer of the function that isn't a signature in any
// form of [Sign] is an error of its own.
func (s *Signer) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	r, err := requestFor(s.public, digest, opts)
	if err != nil {
		return nil, s.named(err)
	}
	signature, err := s.call(ctx, r.clone())
	if err == nil {
		signature, err = verified(s.public, signature, r)
	}
	if err != nil {
		return nil, s.named(err)
	}
	return signature, nil
}

// call calls the function in a goroutine of its own, and leaves it when the context ends:
// what a token or a service is doing often can't be broken off.
func (s *Signer) call(ctx context.Context, r SignRequest) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s.left.Load() >= maxLeft {
		return nil, fmt.Errorf("%d earlier signatures, which nobody waits for any more, are still being made", maxLeft)
	}
	c := &signing{done: make(chan struct{}), err: errEnded}
	go func() {
		defer s.end(c)
		c.signature, c.err = guarded("the function that signs", func() ([]byte, error) { return s.sign(ctx, r) })
	}()
	select {
	case <-c.done:
		return c.signature, c.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.signature, c.err
	case <-timer.C:
		s.leave(c)
		return nil, fmt.Errorf("gave up waiting for the signature: %w", context.Cause(ctx))
	}
}

// signing is one call of the function.
type signing struct {
	done      chan struct{} // closed when it has ended
	signature []byte
	err       error
	settled   atomic.Bool // it has ended, or its caller has left: whichever came first
}

func (s *Signer) end(c *signing) {
	if c.settled.Swap(true) {
		s.left.Add(-1)
	}
	close(c.done)
}

// leave counts the call until it has ended.
func (s *Signer) leave(c *signing) {
	if !c.settled.Swap(true) {
		s.left.Add(1)
	}
}

// String names the key.
func (s *Signer) String() string { return "certsource.Signer(" + s.name + ")" }

// Format prints s as String does, whatever the verb, so that none walks into what the
// function holds.
func (s *Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue logs s as String does.
func (s *Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// named says of which key an error is, and makes its text fit for a log.
func (s *Signer) named(err error) error {
	return fmt.Errorf("%s: %w", s.name, redact.Error(inner(err)))
}
