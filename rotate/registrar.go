package rotate

import (
	"context"
	"time"

	"github.com/certtoken/certtoken"
)

// Registrar is where the server learns which keys a client has: [Graph], [JWKS], [Exec], or
// your own, which rotatetest.TestRegistrar checks. It is called from one goroutine at a time,
// must return when the context ends, which is after two minutes at the latest, and must show
// no secret in its errors. String names it in the state and in errors: the same place has the same
// name whenever it is given, because only that place is asked about the keys that it was given.
//
// An error that wraps [ErrRefused] says that nothing was changed. After any other the
// rotation finds out, by [Finder] or by a token, and calls again.
type Registrar interface {
	// Add registers a key beside those that are registered, and changes none of them. It
	// returns the id by which Remove names the key. The key is the public half: its Signer
	// signs nothing. Where the registrar can tell that the very key is registered, Add
	// returns its id and doesn't register it a second time.
	Add(ctx context.Context, key *certtoken.Certificate, as Identity) (id string, err error)

	// Remove removes the key with this ID, and no other. One that isn't there is no error.
	Remove(ctx context.Context, key Key, as Identity) error

	String() string
}

// Identity is who asks a [Registrar].
type Identity struct {
	// Client gets tokens, by the key in the file that it follows.
	Client *certtoken.Client

	// Certificate is registered and within its validity, and signs proofs: to add a key it is
	// the old one, to remove the old one it is the new one.
	Certificate *certtoken.Certificate
}

// Finder is a [Registrar] that can find a key by its public half. With it the key that was
// there before the first rotation is found, and so is one that was registered by a call whose
// answer never came.
type Finder interface {
	Registrar

	// Find returns the ids under which exactly this key is registered; none is no error. The
	// error wraps [errors.ErrUnsupported] where keys can't be found, for instance for lack
	// of a permission, which is no reason to stop.
	Find(ctx context.Context, key *certtoken.Certificate, as Identity) (ids []string, err error)
}

// Delayer is a [Registrar] that knows how long it takes until every server knows a new key.
type Delayer interface {
	Registrar

	// Delay is how long after Add the key may not sign yet, whether or not a token was
	// granted for it.
	Delay() time.Duration
}
