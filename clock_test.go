package certtoken_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// A token is over when either clock says so. The monotonic clock is the
// bubble's; the wall clock is moved apart from it.
func TestClocks(t *testing.T) {
	type step struct {
		sleep time.Duration // both clocks
		shift time.Duration // the wall clock alone
		hit   bool          // the first token is still handed out
	}
	for name, steps := range map[string][]step{
		"suspended past the end": {{shift: 2 * time.Hour, sleep: time.Second, hit: false}},
		"suspended up to the end": {
			{shift: 59 * time.Minute, sleep: 29 * time.Second, hit: true}, {sleep: 2 * time.Second, hit: false},
		},
		"suspended for a moment": {
			{shift: 10 * time.Minute, sleep: time.Second, hit: true}, {sleep: 48 * time.Minute, hit: true},
			{sleep: 2 * time.Minute, hit: false},
		},
		"suspended twice": {
			{shift: 29 * time.Minute, sleep: time.Second, hit: true},
			{shift: 31 * time.Minute, sleep: time.Second, hit: false},
		},
		"set back": {
			{shift: -24 * time.Hour, sleep: time.Second, hit: true}, {sleep: 59 * time.Minute, hit: true},
			{sleep: time.Minute, hit: false},
		},
		"set back and forth": {
			{shift: -24 * time.Hour, sleep: time.Minute, hit: true},
			{shift: 24 * time.Hour, sleep: time.Minute, hit: true}, {sleep: 58 * time.Minute, hit: false},
		},
		"looked at once a second": {
			{shift: 2 * time.Hour, sleep: 0, hit: true}, {sleep: 999 * time.Millisecond, hit: true},
			{sleep: time.Millisecond, hit: false},
		},
		"forward and put right at once": {
			{shift: 2 * time.Hour, sleep: 500 * time.Millisecond, hit: true},
			{shift: -2 * time.Hour, sleep: time.Second, hit: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				source := r.client.TokenSource(graph)
				first := r.token(t, graph)
				_, err := source.Token()
				require.NoError(t, err)
				time.Sleep(0)
				// A renewal behind a hit takes its time.
				r.server.FailAlways(certtokentest.Fault{Delay: time.Millisecond})
				for i, s := range steps {
					certtoken.ShiftWall(r.client, s.shift)
					time.Sleep(s.sleep)
					if s.hit {
						require.Same(t, first, r.hit(t, graph), "step %d", i)
						tok, err := source.Token()
						require.NoError(t, err)
						require.Equal(t, first.AccessToken(), tok.AccessToken, "step %d", i)
						continue
					}
					tok, err := source.Token()
					require.NoError(t, err)
					require.NotEqual(t, first.AccessToken(), tok.AccessToken, "step %d", i)
					require.NotSame(t, first, r.token(t, graph), "step %d", i)
				}
				synctest.Wait()
			})
		})
	}
}

// What is granted after a jump lives its whole life from then on.
func TestTokenGrantedAfterAJump(t *testing.T) {
	for _, jump := range []time.Duration{48 * time.Hour, -48 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.token(t, vault)
				certtoken.ShiftWall(r.client, jump)
				time.Sleep(time.Second)
				first := r.token(t, graph)
				time.Sleep(40 * time.Minute)
				require.Same(t, first, r.hit(t, graph))
				time.Sleep(19 * time.Minute)
				require.Same(t, first, r.hit(t, graph))
				time.Sleep(31 * time.Second)
				synctest.Wait() // renewed behind the last hit
				require.NotSame(t, first, r.hit(t, graph))
			})
		})
	}
}

// A suspension brings the renewal forward too.
func TestRenewalAfterASuspension(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		certtoken.ShiftWall(r.client, 52*time.Minute)
		time.Sleep(time.Second)
		require.Same(t, first, r.hit(t, graph))
		synctest.Wait()
		require.NotSame(t, first, r.hit(t, graph))
		assert.Equal(t, 2, r.server.Count())
	})
}

func TestKeepWarmAfterASuspension(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithKeepWarm(graph))
		synctest.Wait()
		certtoken.ShiftWall(r.client, 10*time.Hour)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, r.server.Count())
		r.hit(t, graph)
	})
}

// A throttled key isn't kept waiting longer than the server asked by either
// clock.
func TestThrottleEndsByTheWallClockToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Fail(certtokentest.Throttle(5 * time.Minute))
		_, err := r.client.Token(t.Context(), graph)
		require.Error(t, err)
		time.Sleep(time.Minute)
		_, err = r.client.Token(t.Context(), graph)
		require.Error(t, err)
		certtoken.ShiftWall(r.client, time.Hour)
		time.Sleep(time.Second)
		r.token(t, graph)
	})
}

// corrections records what the client says of the endpoint's clock.
type corrections struct {
	mu   sync.Mutex
	list []time.Duration
}

func (c *corrections) hooks() certtoken.Option {
	return certtoken.WithHooks(certtoken.Hooks{ClockCorrected: func(e certtoken.Event) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list = append(c.list, e.Offset)
	}})
}

func (c *corrections) offsets() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}

// AADSTS700024: the server's Date shows the offset, which is kept.
func TestSkewedMachine(t *testing.T) {
	for _, offset := range []time.Duration{time.Hour, -time.Hour, 72 * time.Hour, 6 * time.Minute, -8 * time.Minute} {
		t.Run(offset.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var said corrections
				r := newRig(t, said.hooks())
				r.server.SetClockOffset(offset)
				r.token(t, graph)
				assert.Equal(t, 2, r.server.Count(), "one retry with the corrected clock")
				require.Len(t, said.offsets(), 1)
				assert.InDelta(t, offset.Seconds(), said.offsets()[0].Seconds(), 1)
				jtis := map[any]bool{}
				for _, req := range r.server.Requests() {
					jtis[req.AssertionClaims["jti"]] = true
				}
				assert.Len(t, jtis, 2, "the retry is signed anew")

				r.token(t, vault)
				assert.Equal(t, 3, r.server.Count(), "the offset is remembered")

				r.server.SetClockOffset(0) // the machine's clock is put right
				r.token(t, scopeOf(1))
				assert.Equal(t, 5, r.server.Count())
				require.Len(t, said.offsets(), 2)
				assert.Zero(t, said.offsets()[1])
				r.token(t, scopeOf(2))
				assert.Equal(t, 6, r.server.Count())
			})
		})
	}
}

// All the keys of a service that starts with a wrong clock get their tokens.
func TestSkewedMachineWithManyKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var said corrections
		r := newRig(t, said.hooks())
		r.server.SetClockOffset(time.Hour)
		r.server.FailAlways(certtokentest.Fault{Delay: 100 * time.Millisecond})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := r.client.Token(t.Context(), scopeOf(i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 20, r.server.Count())
		assert.Len(t, said.offsets(), 1, "told once")
	})
}

// A server whose Date makes no sense isn't followed in a loop.
func TestClockIsCorrectedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		date func(n int) string
		want int // requests
	}{
		"another each time": {func(n int) string {
			return time.Now().Add(time.Duration(n) * 24 * time.Hour).UTC().Format(http.TimeFormat)
		}, 2},
		"ours":    {func(int) string { return time.Now().UTC().Format(http.TimeFormat) }, 1},
		"garbage": {func(int) string { return "yesterday" }, 1},
		// No certificate was valid then.
		"the past": {func(int) string { return time.Unix(0, 0).UTC().Format(http.TimeFormat) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				n := 0
				r.server.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
					n++
					return &certtokentest.Fault{Code: 700024, Header: http.Header{"Date": {c.date(n)}}}
				})
				_, err := r.client.Token(t.Context(), graph)
				require.Error(t, err)
				assert.Equal(t, c.want, r.server.Count())
				r.server.ClearFaults()
				r.server.Reset()
				time.Sleep(2 * time.Second)
				r.token(t, graph)
				assert.LessOrEqual(t, r.server.Count(), 2, "it finds back")
			})
		})
	}
}

// A client that follows the endpoint's clock, because its own was far off, must notice
// when its own was set. Otherwise the certificate seems to have ended, and the endpoint,
// whose Date would correct that, is never asked.
func TestPutRightAfterALongWayOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
			certtokentest.WithValidity(start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0)))
		server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour))
		server.Register(appID, cert.Leaf)
		r := newRigOf(t, server, cert)
		server.SetClockOffset(300 * 24 * time.Hour)
		r.token(t, graph)
		server.SetClockOffset(0)
		time.Sleep(100 * 24 * time.Hour)
		r.token(t, graph)
	})
}
