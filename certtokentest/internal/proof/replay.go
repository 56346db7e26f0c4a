package proof

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// maxUsed bounds the memory of used assertions; past it the oldest is forgotten.
const maxUsed = 1 << 17

// maxNameLength bounds a jti.
const maxNameLength = 1024

// Used remembers assertions until they end. The zero value knows none. Its
// methods may be called from many goroutines.
type Used struct {
	mu    sync.Mutex
	ends  map[string]time.Time
	order []string // oldest first
}

// Add reports whether the key is new, and remembers it until end.
func (u *Used) Add(key string, end, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if seen, ok := u.ends[key]; ok && now.Before(seen) {
		return false
	}
	if u.ends == nil {
		u.ends = make(map[string]time.Time)
	}
	u.drop(now)
	u.ends[key] = end
	u.order = append(u.order, key)
	return true
}

// drop forgets what has ended from the old end on, and the oldest when full.
func (u *Used) drop(now time.Time) {
	for len(u.order) > 0 && (len(u.order) >= maxUsed || !now.Before(u.ends[u.order[0]])) {
		delete(u.ends, u.order[0])
		u.order[0] = ""
		u.order = u.order[1:]
	}
}

// Reset forgets all of them.
func (u *Used) Reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ends, u.order = nil, nil
}

// check comes last, so that only an assertion that would be accepted is used up.
// Which code Entra ID gives a replay isn't known; it is seen to take an assertion
// that comes again in another request.
func (u *Used) check(p Presented, leeway time.Duration, now time.Time) *refusal.Refusal {
	if p.NeedsNoID && p.Assertion.Claims["jti"] == nil {
		return nil
	}
	jti := p.Assertion.text("jti")
	if jti == "" || len(jti) > maxNameLength {
		return refusal.New(
			50027,
			"JWT token is invalid or malformed: 'jti' must be a string that names this assertion.",
		)
	}
	if p.MayRepeat {
		return nil
	}
	exp, err := p.Assertion.Claims.GetExpirationTime()
	if err != nil || exp == nil {
		return refusal.New(50027, "JWT token is invalid or malformed: 'exp' must be a number.")
	}
	sum := sha256.Sum256([]byte(p.ClientID + "\x00" + jti + "\x00" + p.Request))
	if !u.Add(string(sum[:]), exp.Add(leeway), now) {
		return refusal.New(50027, "JWT token is invalid or malformed: an assertion with this 'jti' was used before.").
			Plainly("An assertion with this 'jti' was used before.")
	}
	return nil
}
