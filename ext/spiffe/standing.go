package spiffe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certtoken/certtoken"
)

// standing is what is known of the X.509-SVID. The zero value is that of a source which
// the agent hasn't answered yet.
type standing struct {
	id       spiffeid.ID            // of newest and previous
	newest   *certtoken.Certificate // nil: there is none, or it was taken back
	previous *certtoken.Certificate // that newest has replaced, or nil
	err      error                  // of the agent's last answer; nil: newest is it
}

// inUse returns the SVID to sign with, or why there is none. Both are nil while an answer
// of the agent can be waited for.
func (k standing) inUse(now time.Time) (*certtoken.Certificate, error) {
	if k.newest == nil {
		return nil, k.err
	}
	why := validity(k.newest, now)
	switch {
	case why == nil:
		return k.newest, nil
	case k.previous != nil && k.previous.Valid(now) == nil:
		return k.previous, nil // the agent's clock is ahead, or newest had the shorter life
	case errors.Is(why, certtoken.ErrNotYetValid):
		return nil, why
	case k.err != nil:
		return nil, fmt.Errorf("%w, and there is no newer one: %w", why, k.err)
	}
	return nil, nil
}

// trouble is why the newest SVID isn't in use or may not be the newest, or why there is none.
// It is nil when all is well, or nothing known yet.
func (k standing) trouble(now time.Time) error {
	if k.err != nil || k.newest == nil {
		return k.err
	}
	return validity(k.newest, now)
}

// taking is the standing when the agent has sent an SVID. It sends the same one again when
// something else has changed, such as its trust bundle. SVIDs of another ID are forgotten:
// an answer is complete, so that ID was taken back.
func (k standing) taking(id spiffeid.ID, cert *certtoken.Certificate) standing {
	switch {
	case k.newest == nil || k.id != id:
		return standing{id: id, newest: cert}
	case !k.newest.Leaf.Equal(cert.Leaf):
		return standing{id: id, newest: cert, previous: k.newest}
	case slices.EqualFunc(k.newest.Chain, cert.Chain, (*x509.Certificate).Equal):
		return standing{id: id, newest: k.newest, previous: k.previous}
	}
	return standing{id: id, newest: cert, previous: k.previous} // a CA's certificate was replaced
}

// refusing is the standing when the agent has sent an SVID of this ID that can't sign.
func (k standing) refusing(id spiffeid.ID, err error) standing {
	if k.id != id {
		return without(err)
	}
	return k.failing(err)
}

// failing is the standing when the agent couldn't be asked, or its answer not be used.
func (k standing) failing(err error) standing {
	k.err = err
	return k
}

// silent is the standing when the agent didn't answer in time. What it said before tells
// more.
func (k standing) silent(err error) standing {
	if k.err == nil {
		k.err = err
	}
	return k
}

// without is the standing when the agent has taken the identity back.
func without(err error) standing { return standing{err: err} }

// validity says why an SVID can't be used now.
func validity(cert *certtoken.Certificate, now time.Time) error {
	leaf := cert.Leaf
	switch err := cert.Valid(now); {
	case errors.Is(err, certtoken.ErrExpired):
		return fmt.Errorf("spiffe: %w: the SVID ended on %s",
			certtoken.ErrExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	case errors.Is(err, certtoken.ErrNotYetValid):
		return fmt.Errorf("spiffe: %w: the SVID is valid from %s; check the clock of this machine and of the agent's server",
			certtoken.ErrNotYetValid, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
