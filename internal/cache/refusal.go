package cache

import "time"

const (
	minRenewPause = 30 * time.Second // after a failed renewal, doubling
	maxRenewPause = 5 * time.Minute
)

// Verdict is what the owner makes of an error.
type Verdict struct {
	Remember  time.Duration // during which the same error is returned without a fetch
	Condition string        // while the owner's is this one; "": whatever it is
	General   bool          // it concerns callers with other claims too
	Pause     time.Duration // before the next renewal, at least
	Hopeless  bool          // asking for the same again won't do better
}

// refusal is an error that is answered again without asking the endpoint.
type refusal struct {
	err       error
	until     time.Duration // clock reading,
	ahead     time.Duration // when the wall clock was so far ahead
	condition string        // void when the owner's is another; "" never is
}

// stillRefused returns the error of a refusal that holds, as of now.
func (c *Cache[T, G]) stillRefused(w *work[T]) error {
	r := w.refused
	if r == nil {
		return nil
	}
	left := r.until - c.Clock.Since(c.Clock.Mono(), r.ahead)
	if left <= 0 || r.condition != "" && r.condition != c.Condition() {
		w.refused = nil
		return nil
	}
	return c.Again(r.err, left)
}

// noteFailure remembers a failure and returns the pause before the next renewal.
// What came of a request with claims may be due to them: of that only what is
// general concerns the others.
func (c *Cache[T, G]) noteFailure(s *Slot[T], f *flight[T], before *T) time.Duration {
	w, now, v := s.work, c.Clock.Look(), c.Judge(f.err, &s.key)
	if v.Remember > 0 && (v.General || f.claims == "") {
		w.refused = &refusal{err: f.err, until: now.Mono + v.Remember, ahead: now.Ahead, condition: v.Condition}
	}
	if v.Hopeless && before != nil {
		life := c.Life(before)
		return life.End - life.Granted
	}
	return max(c.renewPause(w, f, before), v.Pause)
}

// renewPause counts a failed renewal and is the pause after it, in proportion
// for a token that lives shortly.
func (c *Cache[T, G]) renewPause(w *work[T], f *flight[T], before *T) time.Duration {
	if f.claims != "" {
		return 0
	}
	w.failures++
	pause := min(minRenewPause<<min(w.failures-1, 8), maxRenewPause)
	if before != nil {
		life := c.Life(before)
		pause = min(pause, max(time.Second, (life.End-life.Granted)/10))
	}
	return pause
}
