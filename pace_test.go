package certtoken_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// quotaStub grants so many tokens a second, from the end of a number of free ones on.
// Beyond that it answers 429.
type quotaStub struct {
	stub
	free, quota int

	mu      sync.Mutex
	asked   int
	inside  int           // requests under way
	most    int           // of them at once
	granted map[int64]int // in each second
	refused map[int64]int
}

func (s *quotaStub) RoundTrip(req *http.Request) (*http.Response, error) {
	if refusal := s.enter(); refusal != nil {
		return refusal, nil
	}
	time.Sleep(50 * time.Millisecond)
	s.mu.Lock()
	s.inside--
	s.mu.Unlock()
	return s.stub.RoundTrip(req)
}

// enter returns a refusal if the quota of this second is used up.
func (s *quotaStub) enter() *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.asked > s.free {
		second := time.Now().Unix()
		if s.granted[second] == s.quota {
			s.refused[second]++
			return &http.Response{
				StatusCode: http.StatusTooManyRequests,
				Header:     http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}},
				Body:       io.NopCloser(strings.NewReader(`{"error":"temporarily_unavailable"}`)),
			}
		}
		s.granted[second]++
	}
	s.inside++
	s.most = max(s.most, s.inside)
	return nil
}

// Tokens that are fetched together, and so end together, are renewed spread out over
// their last quarter, as fast as the endpoint lets them and hardly any faster. The
// callers see nothing of it, and neither do those who ask for a token that isn't there.
func TestManyRenewalsAreSpreadOut(t *testing.T) {
	const tokens, life = 2_000, time.Hour
	for name, c := range map[string]struct {
		quota   int     // a second
		refused float64 // of the tokens, at most
	}{
		"as fast as they are due":     {1_000, 0},
		"the endpoint lets few go on": {3, 0.35}, // in 667 s, and one refusal in each says that there are no more
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				endpoint := &quotaStub{
					stub: stub{life: int(life / time.Second)}, free: tokens, quota: c.quota,
					granted: make(map[int64]int), refused: make(map[int64]int),
				}
				var failed atomic.Int64
				client := newStubClient(t, endpoint, certtoken.WithHooks(certtoken.Hooks{
					RenewalFailed: func(certtoken.Event) { failed.Add(1) },
				}))
				require.Empty(t, rush(t.Context(), client, tokens))
				started := time.Now()
				scopes := make([]string, tokens)
				for i := range scopes {
					scopes[i] = scopeOf(i)
				}
				askAll := func() {
					at := time.Now()
					for _, scope := range scopes {
						_, err := client.Token(t.Context(), scope)
						if err != nil || time.Since(at) > 0 {
							t.Fatalf("a caller waits for %v, %v after the start: %v", time.Since(at), at.Sub(started),
								err)
						}
					}
				}
				time.Sleep(life / 2)
				askAll()
				synctest.Wait()
				require.Equal(t, tokens, endpoint.asked, "renewed before it was due")
				for time.Since(started) < life+10*time.Minute {
					pause := time.Minute // but every few seconds from the first renewal until all are over
					if at := time.Since(started); at >= 38*time.Minute && at < life+2*time.Minute {
						pause = 5 * time.Second
					}
					time.Sleep(pause)
					askAll()
				}
				synctest.Wait()
				granted, refused, most := 0, 0, 0
				for _, n := range endpoint.granted {
					granted += n
					most = max(most, n)
				}
				for _, n := range endpoint.refused {
					refused += n
				}
				t.Logf("%d renewed, at most %d a second, %d refused, %d gave up", granted, most, refused, failed.Load())
				assert.InDelta(t, tokens, granted, tokens/10)
				assert.LessOrEqual(t, float64(refused), c.refused*tokens)
				assert.LessOrEqual(t, most, 100, "they come in a crowd") // 2,000 in 540 s are 4 a second
			})
		})
	}
}

// While very many tokens are due at once, a caller who asks for a cold one finds a place.
func TestRenewalsLeavePlacesForCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const tokens = 1_000
		endpoint := &crowdedStub{stub: stub{life: 3600}, takes: time.Second}
		client := newStubClient(t, endpoint)
		require.Empty(t, rush(t.Context(), client, tokens))
		time.Sleep(50 * time.Minute) // all are due
		endpoint.most = 0
		for i := range tokens {
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
		}
		synctest.Wait()
		start := time.Now()
		require.Empty(t, rush(t.Context(), client, 1_000), "they are valid")
		_, err := client.Token(t.Context(), "api://cold/.default")
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start), "it waited for renewals")
		synctest.Wait() // renewals go on
		assert.LessOrEqual(t, endpoint.most, 17, "renewals took the places of callers")
	})
}
