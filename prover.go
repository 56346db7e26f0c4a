package certtoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/syntax"
)

// prover makes the proofs of possession that go with token requests and with DPoP tokens
// (RFC 9449).
type prover struct {
	key    *dpop.Key // that new tokens are bound to; in memory only
	nonces dpop.Nonces
	clock  *clock.Clock
	server *clock.Offset // the token endpoint's clock
}

// maxProofOffset is how far the token endpoint's clock is followed. A difference beyond it
// is taken for a wrong Date header.
const maxProofOffset = 5 * time.Minute

// newProver makes a prover for an authority, with a key of its own.
func newProver(authority Authority, clock *clock.Clock, server *clock.Offset) (*prover, error) {
	alg, err := authority.proofAlgorithm()
	if err != nil {
		return nil, err
	}
	key, err := dpop.NewKey(alg)
	if err != nil {
		return nil, fmt.Errorf("WithDPoP: %w", err)
	}
	return &prover{key: key, clock: clock, server: server}, nil
}

// ahead is how far the times of proofs are ahead of this machine's clock.
func (p *prover) ahead() time.Duration {
	if ahead := p.server.Ahead(); ahead.Abs() <= maxProofOffset {
		return ahead
	}
	return 0
}

// proofFor is what a proof is for.
type proofFor struct {
	key    *dpop.Key
	method string
	url    *url.URL
	host   string // the request's, where it isn't the URL's; or ""
	token  string // that goes with the request; "": none
}

// madeProof is a proof, and what of it matters later.
type madeProof struct {
	text   string
	origin string        // of the server that it is for
	nonce  string        // "": none
	ahead  time.Duration // of this machine's clock
}

// prove makes a proof with the newest nonce of the server.
func (p *prover) prove(ctx context.Context, f proofFor) (madeProof, error) {
	target, err := dpop.Target(f.url, f.host)
	if err != nil {
		return madeProof{}, err
	}
	if f.method == "" {
		f.method = http.MethodGet // as in net/http
	}
	origin := syntax.Origin(f.url)
	made := madeProof{origin: origin, nonce: p.nonces.Of(origin), ahead: p.ahead()}
	made.text, err = f.key.Prove(ctx, dpop.Claims{
		Method: f.method, Target: target, Token: f.token, Nonce: made.nonce, Time: p.clock.Look().Time.Add(made.ahead),
	})
	return made, err
}

// note keeps the nonce of an answer, if it has one.
func (p *prover) note(u *url.URL, answer http.Header) { p.nonces.Note(syntax.Origin(u), answer) }

// hasNewer reports whether the server has given another nonce than that of a proof.
func (p *prover) hasNewer(made madeProof) bool {
	nonce := p.nonces.Of(made.origin)
	return nonce != "" && nonce != made.nonce
}

// ofToken is a proof for a request with a token.
func ofToken(t *Token, method string, u *url.URL, host string) (proofFor, error) {
	key := t.proofKey()
	if key == nil {
		return proofFor{}, errors.New("the token is not a DPoP token: it is bound to no key, and needs no proof")
	}
	return proofFor{key: key, method: method, url: u, host: host, token: t.secret().access}, nil
}
