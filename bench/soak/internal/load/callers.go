package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
)

// Lifetime is that of the tokens: short, so that there is a lot to renew. A program that
// wants another sets it before anything else.
var Lifetime = 10 * time.Second

// RefreshIn is when they are due for renewal.
func RefreshIn() time.Duration { return Lifetime * 2 / 5 }

const (
	scopes = 40 // asked for all the time

	// lookSlip may pass between a caller's look at the clock and the client's. On a busy machine
	// a caller may have to wait for the processor just then.
	lookSlip = time.Second
)

// Handed is a token that a caller was given.
type Handed struct {
	Scope   string
	Access  string // the secret
	Expires time.Time
}

// usableUntil is until when a client hands the token out: 5 % before its end.
func (h *Handed) usableUntil() time.Time { return h.Expires.Add(-Lifetime / 20) }

// validAt reports whether a client surely hands the token out to who asks now.
func (h *Handed) validAt(now time.Time) bool {
	return h != nil && now.Before(h.usableUntil().Add(-lookSlip))
}

// Callers ask one client for tokens, from many goroutines, and judge what they
// get.
type Callers struct {
	Client    *certtoken.Client
	Pause     time.Duration      // between two calls of one caller
	Strangers time.Duration      // between scopes that are asked for once; 0: there are none
	Stranger  string             // in their names, for a client that shares its endpoint with others
	Handed    func(Handed)       // every new token; may be nil
	Broken    func(reason error) // at once, for every call that is counted in Failed or Expired; may be nil

	Calls   atomic.Int64
	Failed  atomic.Int64 // although a valid token existed
	Without atomic.Int64 // failed without one: the endpoint's faults add up
	Expired atomic.Int64 // tokens handed out after their end
	Waits   Histogram    // of callers for whom there was a valid token
	Others  Histogram    // of those for whom there was none
	Missed  atomic.Int64 // callers whom the client had wait although there was a valid token; see Miss

	newest [scopes]atomic.Pointer[Handed] // the one that ends last of those seen
}

// Scopes is the number of scopes that are asked for all the time.
const Scopes = scopes

func scopeName(i int) string { return fmt.Sprintf("api://soak-%d/.default", i) }

const strangerPrefix = "api://stranger-"

// IsStranger reports whether a scope is one that is asked for once.
func IsStranger(scope string) bool { return strings.HasPrefix(scope, strangerPrefix) }

// Run asks until ctx ends, and returns when all callers have. Calls that end
// later aren't judged: the client may be closed by then.
func (c *Callers) Run(ctx context.Context, callers int) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { c.ask(ctx, i) })
	}
	if c.Strangers > 0 {
		wg.Go(func() { c.askOnce(ctx) })
	}
	wg.Wait()
}

// ask asks for tokens in every way that there is, until ctx ends.
func (c *Callers) ask(ctx context.Context, caller int) {
	sources := make([]*certtoken.TokenSource, scopes)
	for i := range sources {
		sources[i] = c.Client.TokenSource(scopeName(i))
	}
	for ctx.Err() == nil {
		i := rand.N(scopes)
		known := c.newest[i].Load()
		start := time.Now()
		valid := known.validAt(start)
		got := Handed{Scope: scopeName(i)}
		var err error
		if caller%2 == 0 {
			var t *certtoken.Token
			if t, err = c.Client.Token(context.Background(), got.Scope); err == nil {
				got.Access, got.Expires = t.AccessToken(), t.ExpiresAt()
			}
		} else if t, sourceErr := sources[i].Token(); sourceErr == nil {
			got.Access, got.Expires = t.AccessToken, t.Expiry
		} else {
			err = sourceErr
		}
		end := time.Now()
		if ctx.Err() != nil {
			return
		}
		c.count(valid, end.Sub(start), err)
		if err == nil {
			c.take(&c.newest[i], got, start, end)
		}
		Sleep(ctx, c.Pause)
	}
}

// count judges one call.
func (c *Callers) count(valid bool, took time.Duration, err error) {
	c.Calls.Add(1)
	if valid {
		c.Waits.Add(took)
	} else {
		c.Others.Add(took)
	}
	switch {
	case err != nil && valid:
		c.Failed.Add(1)
		c.broken(fmt.Errorf("a call failed although a valid token existed: %w", err))
	case err != nil:
		c.Without.Add(1)
	}
}

// take judges a token that a call from start to end was given. The client looked at its clock
// at a moment between them that nobody knows. So a token that ended meanwhile is one that it
// shouldn't have handed out only if the call was shorter than what it keeps from a token's end:
// a longer one may have waited for the processor.
func (c *Callers) take(newest *atomic.Pointer[Handed], got Handed, start, end time.Time) {
	ended := !end.Before(got.Expires)
	if ended && (end.Sub(start) < Lifetime/20 || !start.Before(got.Expires)) {
		c.Expired.Add(1)
		c.broken(fmt.Errorf("a token for %s was handed out %v after its end", got.Scope, end.Sub(got.Expires)))
	}
	for {
		old := newest.Load()
		if old != nil && old.Access == got.Access {
			return
		}
		later := old == nil || old.Expires.Before(got.Expires)
		if later && !newest.CompareAndSwap(old, &got) {
			continue
		}
		if c.Handed != nil {
			c.Handed(got)
		}
		return
	}
}

func (c *Callers) broken(reason error) {
	if c.Broken != nil {
		c.Broken(reason)
	}
}

// Miss is for the client's hook: a long wait that it doesn't tell of is the
// machine's doing. Where a token comes just then, it may count one too many.
func (c *Callers) Miss(e certtoken.Event) {
	now := time.Now()
	for i := range c.newest {
		if len(e.Scopes) == 1 && e.Scopes[0] == scopeName(i) && c.newest[i].Load().validAt(now) {
			c.Missed.Add(1)
		}
	}
}

// askOnce asks for scopes that nobody asks for again: their tokens have to
// leave the cache. Faults are allowed here.
func (c *Callers) askOnce(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		wg.Go(func() {
			scope := fmt.Sprintf("%s%s%d/.default", strangerPrefix, c.Stranger, n)
			t, err := c.Client.Token(ctx, scope)
			if err == nil && c.Handed != nil {
				c.Handed(Handed{Scope: scope, Access: t.AccessToken(), Expires: t.ExpiresAt()})
			}
		})
		Sleep(ctx, c.Strangers)
	}
}
