// Package possession checks the DPoP proofs that come to one server (RFC 9449 §4.3): what
// each says, whether it was used before, and the nonces that the server gave. It never
// knows what a request is for, nor how a refusal is written.
package possession

import (
	"net/http"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/internal/dpop"
)

// Rules are how proofs are taken.
type Rules struct {
	Algorithms   []string
	Past, Future time.Duration // how far iat may be off
	Nonces       bool          // a proof must have a nonce that the server gave
}

// Checker takes each proof once. Its methods may be called from many goroutines.
type Checker struct {
	rules  Rules
	used   proof.Used
	nonces nonces
}

// New makes a checker.
func New(rules Rules) *Checker { return &Checker{rules: rules} }

// Request is what a proof must be for.
type Request struct {
	Header http.Header
	Method string
	Target string // of the URL, see [dpop.Target]
	Token  string // that came with the request; "": none
	Key    string // the thumbprint of the key that the token is bound to; "": any
	Now    time.Time
}

// Refusal is why a proof isn't taken.
type Refusal struct {
	Code        string // of RFC 9449: use_dpop_nonce or invalid_dpop_proof
	Description string
}

func invalid(why string) *Refusal { return &Refusal{dpop.InvalidProof, why} }

// Check reads the proof of a request and returns the thumbprint of its key. The nonce comes
// before the times: a client whose clock is off can then be told the nonce.
func (c *Checker) Check(r Request) (thumbprint string, refused *Refusal) {
	values := r.Header.Values(dpop.Header)
	if len(values) != 1 {
		return "", invalid("the request must have one header DPoP, with a proof")
	}
	p, err := dpop.Read(values[0], c.rules.Algorithms)
	if err != nil {
		return "", invalid(err.Error())
	}
	if c.rules.Nonces && !c.nonces.isGood(p.Nonce, r.Now) {
		return "", &Refusal{dpop.UseNonce, "the proof must have the nonce of this answer"}
	}
	err = p.Check(dpop.Wanted{
		Method: r.Method, Target: r.Target, Token: r.Token,
		Now: r.Now, Past: c.rules.Past, Future: c.rules.Future,
	})
	switch {
	case err != nil:
		return "", invalid(err.Error())
	case r.Key != "" && r.Key != p.Thumbprint:
		return "", invalid("the proof's key is not the one that the token is bound to")
	case !c.used.Add(p.Thumbprint+" "+p.ID, p.IssuedAt.Add(c.rules.Past+time.Second), r.Now):
		return "", invalid("the proof was used before")
	}
	return p.Thumbprint, nil
}

// Nonce is the one that an answer tells, or "" where none is demanded.
func (c *Checker) Nonce(now time.Time) string {
	if !c.rules.Nonces {
		return ""
	}
	return c.nonces.newest(now)
}

// ExpireNonces makes all nonces stale that were given so far.
func (c *Checker) ExpireNonces() { c.nonces.expire() }

// Reset forgets which proofs were used.
func (c *Checker) Reset() { c.used.Reset() }

// Algorithms are those of proofs.
func (c *Checker) Algorithms() []string { return slices.Clone(c.rules.Algorithms) }
