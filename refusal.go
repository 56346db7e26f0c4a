package certtoken

import (
	"errors"
	"time"
)

const (
	refusalMemory = time.Second      // of a final refusal
	minRenewPause = 30 * time.Second // after a failed renewal, doubling
	maxRenewPause = 5 * time.Minute
)

// refusal is an error that is answered again without asking the endpoint.
type refusal struct {
	err        error
	until      time.Duration // clock reading,
	ahead      time.Duration // when the wall clock was so far ahead
	thumbprint string        // void as soon as another certificate is in use; "" isn't
}

// stillRefused returns the error of a refusal that holds, as of now.
func (c *Client) stillRefused(w *work) error {
	r := w.refused
	if r == nil {
		return nil
	}
	left := r.until - c.clock.since(c.clock.mono(), r.ahead)
	if left <= 0 || r.thumbprint != "" && r.thumbprint != c.thumbprint() {
		w.refused = nil
		return nil
	}
	var te *TokenError
	if errors.As(r.err, &te) {
		return te.remembered(left)
	}
	return r.err
}

// noteFailure remembers a failure and returns the pause before the next renewal. What
// came of a request with claims may be due to them: of that only throttling
// concerns the others.
func (c *Client) noteFailure(s *slot, f *flight, before *Token) time.Duration {
	w, now := s.work, c.clock.look()
	remember := func(d time.Duration, thumbprint string) {
		w.refused = &refusal{err: f.err, until: now.mono + d, ahead: now.ahead, thumbprint: thumbprint}
	}
	var te *TokenError
	if errors.As(f.err, &te) && te.Temporary() {
		if te.RetryAfter > 0 {
			remember(te.RetryAfter, "")
		}
		return max(c.renewPause(w, f, before), te.RetryAfter)
	}
	if f.claims == "" && te != nil {
		remember(refusalMemory, te.Thumbprint)
	} else if f.claims == "" && errors.Is(f.err, ErrBadResponse) {
		remember(refusalMemory, "")
	}
	if s.key.user != "" && te != nil && te.Code == "invalid_grant" && before != nil {
		return before.life.end - before.life.granted // the same assertion won't do better
	}
	return c.renewPause(w, f, before)
}

// renewPause counts a failed renewal and is the pause after it, in proportion
// for a token that lives shortly.
func (c *Client) renewPause(w *work, f *flight, before *Token) time.Duration {
	if f.claims != "" {
		return 0
	}
	w.failures++
	pause := min(minRenewPause<<min(w.failures-1, 8), maxRenewPause)
	if before != nil {
		pause = min(pause, max(time.Second, (before.life.end-before.life.granted)/10))
	}
	return pause
}
