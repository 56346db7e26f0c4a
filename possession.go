package certtoken

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/exchange"
)

// possession makes the DPoP proofs of the attempts of one token request, and decides what
// follows when the endpoint doesn't take one. Without a prover it does nothing.
type possession struct {
	prover     *prover // nil: the token is bound to no key
	made       madeProof
	nonceGiven bool // the endpoint gave a nonce, and the request was made again with it
}

// prove makes the proof of an attempt.
func (p *possession) prove(ctx context.Context, endpoint string) error {
	if p.prover == nil {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	p.made, err = p.prover.prove(ctx, proofFor{key: p.prover.key, method: http.MethodPost, url: u})
	return err
}

// key is the key that the endpoint binds the token to, or nil.
func (p *possession) key() *dpop.Key {
	if p.prover == nil {
		return nil
	}
	return p.prover.key
}

// ask puts the proof on a request, and keeps the nonce of its answer.
func (p *possession) ask(req *exchange.Request) {
	if p.prover == nil {
		return
	}
	req.DPoP, req.TokenType = p.made.text, dpop.Scheme
	req.Answered = func(header http.Header) {
		if u, err := url.Parse(req.Endpoint); err == nil {
			p.prover.note(u, header)
		}
	}
}

// newNonce reports whether the endpoint refused the proof because of its nonce and gave
// another one (RFC 9449 §8). That is answered once in a request, with a new proof and also
// with a new assertion: the endpoint may have looked at the assertion first, and then it
// takes its jti for used.
func (p *possession) newNonce(why *TokenError) bool {
	if p.prover == nil || p.nonceGiven || !why.demandsNonce() {
		return false
	}
	p.nonceGiven = p.prover.hasNewer(p.made)
	return p.nonceGiven
}

// clockWasOff reports whether a proof may have been refused because of its time, and the
// next one has a time that differs by more than tolerance. Some servers call a bad proof an
// invalid request.
func (p *possession) clockWasOff(why *TokenError, tolerance time.Duration) bool {
	if p.prover == nil || why.Code != dpop.InvalidProof && why.Code != "invalid_request" {
		return false
	}
	return (p.prover.ahead() - p.made.ahead).Abs() > tolerance
}
