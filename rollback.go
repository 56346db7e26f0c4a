package certtoken

import (
	"fmt"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
)

// rollbackLimit is how long a pair may still sign after it was replaced. In a day somebody
// notices that the new certificate isn't registered.
const rollbackLimit = 24 * time.Hour

// standBackTime is how long a certificate that the endpoint refused isn't used while
// there is another one, here and in [NewestValid]. A new registration has spread by
// then, and the refused certificate is tried again before the other one ends.
const standBackTime = 10 * time.Minute

// rollback keeps the pair that was in the files before, to sign with while the endpoint
// refuses the new one. The pair must have been granted a token in this process, because a
// pair that never worked is no better than the new one. Nor is there a way back once the
// new one was granted a token: it is registered, and a later refusal has another cause,
// or comes from another client that shares the source.
//
// All times are measured by two clocks, of which the later one rules: the monotonic
// clock stops while the machine sleeps, and the old key must not sign for longer.
type rollback struct {
	off   bool
	clock *clock.Clock

	mu         sync.Mutex   // held for assignments only
	current    *Certificate // in the files
	worked     bool         // current was granted a token; before is nil then
	seen       moment       // when current was last found in the files
	refusedAt  moment       // since when current isn't used, because it was refused
	before     *Certificate // was granted a token and then replaced; nil: none
	beforeSeen moment       // when before was last found in the files
	beforeUsed moment       // when before was last granted a token since then
}

// moment is a reading of the clocks, or nil for never.
type moment *clock.Reading

func newRollback(off bool) rollback { return rollback{off: off, clock: clock.New()} }

func (r *rollback) now() moment {
	now := r.clock.Look()
	return &now
}

// isWithin reports whether less than the limit has passed since then.
func (r *rollback) isWithin(limit time.Duration, then, now moment) bool {
	return then != nil && r.clock.Since(now.Mono, then.Ahead)-then.Mono < limit
}

// choose is told which pair is in the files, and returns the one to sign with.
func (r *rollback) choose(inFiles *Certificate) *Certificate {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	if r.isBack(now) {
		return r.before
	}
	return r.current
}

// health says that the pair before signs, and why, or returns nil. While that lasts
// its text is the same.
func (r *rollback) health(name string, inFiles *Certificate) error {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	if !r.isBack(now) {
		return nil
	}
	until := r.beforeSeen.Time.Add(rollbackLimit)
	if end := r.before.ends(); !end.IsZero() && end.Before(until) {
		until = end
	}
	what := "certificate"
	if r.current.Leaf == nil {
		what = "key"
	}
	return fmt.Errorf("%s: the token endpoint refused this %s, %s; "+
		"the one before it, %s, signs until %s at the latest: register the new one",
		name, what, r.current.title(), r.before.title(), until.UTC().Format(time.RFC3339))
}

// granted notes that the endpoint granted a token for a pair.
func (r *rollback) granted(cert *Certificate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case cert.isSameAs(r.current):
		r.worked, r.refusedAt, r.before = true, nil, nil
	case cert.isSameAs(r.before):
		r.beforeUsed = r.now()
	}
}

// newest returns the SHA-256 of the pair that is in the files, and reports whether a token
// was granted for it.
func (r *rollback) newest() (sum [32]byte, granted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return sum, false
	}
	return r.current.sha256(), r.worked
}

// refused is told that the endpoint refused a pair, and reports whether another one
// is to be signed with for that reason.
func (r *rollback) refused(cert, inFiles *Certificate) bool {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	switch {
	case cert.isSameAs(r.before):
		r.refusedAt = nil
		if !r.isWithin(standBackTime, r.beforeUsed, now) {
			r.before = nil // it doesn't work any more either, for any client of this source
		}
		return true
	case cert.isSameAs(r.current):
		r.refusedAt = now
		return r.isBack(now)
	}
	return false
}

// found notes which pair is in the files. The caller holds r.mu.
//
// When a pair was replaced isn't known. It was there when it was last found, so the
// time that is left to it counts from then.
func (r *rollback) found(cert *Certificate, now moment) {
	if !r.isWithin(rollbackLimit, r.beforeSeen, now) {
		r.before = nil // also so that its key doesn't stay in memory
	}
	if cert.isSameAs(r.current) {
		r.current, r.seen = cert, now
		return
	}
	if r.worked && !r.off {
		r.before, r.beforeSeen, r.beforeUsed = r.current, r.seen, nil
	}
	r.current, r.worked, r.seen, r.refusedAt = cert, false, now, nil
	if cert.isSameAs(r.before) { // it was put back
		r.before, r.worked = nil, true
	}
}

// isBack reports whether the pair before is to be signed with. The caller holds r.mu.
func (r *rollback) isBack(now moment) bool {
	return r.before != nil && r.isWithin(standBackTime, r.refusedAt, now) && r.before.valid(now.Time) == nil
}
