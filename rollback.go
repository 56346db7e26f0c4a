package certtoken

import (
	"bytes"
	"fmt"
	"sync"
	"time"
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
// pair that never worked is no better than the new one. The zero value is ready to use.
type rollback struct {
	off bool

	mu         sync.Mutex   // held for assignments only
	current    *Certificate // the pair in the files
	worked     bool         // current was granted a token
	seen       time.Time    // when current was last found in the files
	standsBack time.Time    // until then current isn't used, because it was refused
	before     *Certificate // the pair that was granted a token and then replaced; nil: none
	until      time.Time    // from then on before may no longer sign
}

// choose notes which pair is in the files, and returns the one to sign with.
func (r *rollback) choose(inFiles *Certificate, now time.Time) *Certificate {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	if r.isBack(now) {
		return r.before
	}
	return r.current
}

// health returns an error that says why the pair before signs, or nil. Its text stays
// the same meanwhile, so that the log has it once.
func (r *rollback) health(name string, inFiles *Certificate, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	if !r.isBack(now) {
		return nil
	}
	return fmt.Errorf("%s: the token endpoint refused this certificate, SHA-256 %s; "+
		"the one before it, SHA-256 %s, signs until %s at the latest: register the new one",
		name, r.current.thumbprintHex(), r.before.thumbprintHex(), r.until.UTC().Format(time.RFC3339))
}

// granted notes that the endpoint granted a token for a pair.
func (r *rollback) granted(cert *Certificate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sameLeaf(cert, r.current) {
		r.worked, r.standsBack = true, time.Time{}
	}
}

// refused notes that the endpoint refused a pair, and reports whether another one signs
// from now on.
func (r *rollback) refused(cert, inFiles *Certificate, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found(inFiles, now)
	switch {
	case sameLeaf(cert, r.before):
		r.before = nil // it doesn't work any more either
		return true
	case sameLeaf(cert, r.current):
		r.standsBack = now.Add(standBackTime)
		return r.isBack(now)
	}
	return false
}

// found notes which pair is in the files. The caller holds r.mu.
//
// It isn't known when exactly a pair was replaced. It was there when it was last found,
// so its limit counts from then.
func (r *rollback) found(cert *Certificate, now time.Time) {
	if now.After(r.until) {
		r.before = nil // also so that its key doesn't stay in memory
	}
	if sameLeaf(cert, r.current) {
		r.current, r.seen = cert, now
		return
	}
	if r.worked && !r.off {
		r.before, r.until = r.current, r.seen.Add(rollbackLimit)
	}
	r.current, r.worked, r.seen, r.standsBack = cert, false, now, time.Time{}
	if sameLeaf(cert, r.before) { // it was put back
		r.before, r.worked = nil, true
	}
}

// isBack reports whether the pair before signs now. The caller holds r.mu.
func (r *rollback) isBack(now time.Time) bool {
	return now.Before(r.standsBack) && r.before != nil && r.before.valid(now) == nil
}

func sameLeaf(a, b *Certificate) bool {
	return a != nil && b != nil && a.Leaf != nil && b.Leaf != nil && bytes.Equal(a.Leaf.Raw, b.Leaf.Raw)
}
