package spiffe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken"
)

const (
	server = "https://issuer.example"
	life   = 5 * time.Minute // of the SVIDs of these tests
)

func fakeJWTSource(t *testing.T, f *fakeAgent) *JWTSource {
	t.Helper()
	source, err := NewJWTSource(WithAddress("unix:///agent"))
	require.NoError(t, err)
	source.dial = f.dial
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

// lasting is a JWT-SVID for an audience.
func lasting(audience string, d time.Duration) []*jwtsvid.SVID {
	return []*jwtsvid.SVID{{Audience: []string{audience}, Expiry: time.Now().Add(d)}}
}

// An SVID is kept for half of its life, and a new one comes then.
func TestAnSVIDIsKeptForHalfOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		f.jwt = func(_ context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			return lasting(params.Audience, life), nil
		}
		source := fakeJWTSource(t, f)
		start := time.Now()
		for time.Since(start) < time.Hour {
			_, err := source.Assertion(t.Context(), server)
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, int(time.Hour/(life/2)), f.asked())
	})
}

// The last good SVID is sent within its validity while the agent is away, or refuses to
// answer; then the error is the agent's.
func TestAnAgentThatIsAway(t *testing.T) {
	for name, away := range map[string]func(ctx context.Context) error{
		"dead": func(context.Context) error { return status.Error(codes.Unavailable, "connection refused") },
		"frozen": func(ctx context.Context) error {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeAgent{}
				var isAway atomic.Bool
				f.jwt = func(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
					if isAway.Load() {
						return nil, away(ctx)
					}
					return lasting(params.Audience, life), nil
				}
				source := fakeJWTSource(t, f)
				_, err := source.Assertion(t.Context(), server)
				require.NoError(t, err)
				end := time.Now().Add(life)
				isAway.Store(true)
				var waited time.Duration
				for time.Until(end) > maxMargin+2*patience {
					asked := time.Now()
					_, err := source.Assertion(t.Context(), server)
					require.NoError(t, err)
					waited += time.Since(asked)
					time.Sleep(time.Second)
				}
				assert.LessOrEqual(t, waited, patience, "all in all")
				assert.ErrorIs(t, source.Health(), ErrUnavailable)
				assert.Less(t, f.asked(), 30, "with pauses")
				time.Sleep(time.Until(end) - time.Second)
				_, err = source.Assertion(t.Context(), server)
				assert.ErrorIs(t, err, ErrUnavailable, "an SVID that ends during the request isn't sent")
				isAway.Store(false)
				time.Sleep(maxPause + maxAnswer)
				_, err = source.Assertion(t.Context(), server)
				assert.NoError(t, err)
				assert.NoError(t, source.Health())
			})
		})
	}
}

// An identity that was taken back isn't sent any more, though its SVID is valid.
func TestAnIdentityThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		f.jwt = func(_ context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			if f.asked() > 1 {
				return nil, status.Error(codes.PermissionDenied, "no identity issued")
			}
			return lasting(params.Audience, life), nil
		}
		source := fakeJWTSource(t, f)
		_, err := source.Assertion(t.Context(), server)
		require.NoError(t, err)
		time.Sleep(life / 2)
		for range 3 {
			_, err = source.Assertion(t.Context(), server)
			assert.ErrorIs(t, err, ErrNoIdentity)
		}
		assert.Equal(t, 2, f.asked(), "with pauses")
	})
}

// An SVID that comes too late is a failure like others: the agent is asked in pauses, and a
// better SVID stays in use.
func TestAJWTSVIDThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		f.jwt = func(_ context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			if params.Audience == server && f.asked() == 1 {
				return lasting(server, life), nil
			}
			return lasting(params.Audience, -time.Second), nil
		}
		source := fakeJWTSource(t, f)
		_, err := source.Assertion(t.Context(), server)
		require.NoError(t, err)
		start := time.Now()
		for time.Since(start) < life-maxMargin-time.Second {
			_, err := source.Assertion(t.Context(), server)
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.ErrorIs(t, source.Health(), certtoken.ErrExpired)
		assert.Less(t, f.asked(), 25, "with pauses")
		for range 200 {
			_, err = source.Assertion(t.Context(), "another")
			assert.ErrorIs(t, err, certtoken.ErrExpired)
		}
		assert.Less(t, f.asked(), 25, "with pauses")
	})
}

// After the machine has slept, or its clock was set forward, an SVID is over before the
// pause that was planned for it.
func TestAClockThatWasSetForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{jwt: func(_ context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			return lasting(params.Audience, life), nil
		}}
		source := fakeJWTSource(t, f)
		_, err := source.Assertion(t.Context(), server)
		require.NoError(t, err)
		source.svids.kept[server].known.svid.Expiry = time.Now() // the bubble's clock can't be set
		_, err = source.Assertion(t.Context(), server)
		require.NoError(t, err)
		assert.Equal(t, 2, f.asked())
	})
}

// When the agent takes the identity back, the SVIDs for all audiences are no longer sent,
// nor is what it signed before.
func TestARefusalConcernsAllAudiences(t *testing.T) {
	refused := func() ([]*jwtsvid.SVID, error) {
		return nil, status.Error(codes.PermissionDenied, "no identity issued")
	}
	for name, answer := range map[string]func() ([]*jwtsvid.SVID, error){
		"refused": refused,
		"not in the list": func() ([]*jwtsvid.SVID, error) {
			return []*jwtsvid.SVID{{ID: spiffeid.RequireFromString("spiffe://example.org/other")}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var takenBack atomic.Bool
				slow := make(chan struct{})
				f := &fakeAgent{jwt: func(_ context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
					if takenBack.Load() {
						return answer()
					}
					signed := lasting(params.Audience, life)
					signed[0].ID = myApp
					if params.Audience == "slow" {
						<-slow
					}
					return signed, nil
				}}
				source := fakeJWTSource(t, f)
				source.cfg.id = myApp
				_, err := source.Assertion(t.Context(), server)
				require.NoError(t, err)
				crossing := make(chan error)
				go func() { _, err := source.Assertion(t.Context(), "slow"); crossing <- err }()
				synctest.Wait()

				takenBack.Store(true)
				_, err = source.Assertion(t.Context(), "another")
				require.True(t, takesBack(err))
				close(slow)
				assert.True(t, takesBack(<-crossing), "the answer was under way")
				_, err = source.Assertion(t.Context(), server)
				assert.True(t, takesBack(err))

				takenBack.Store(false)
				time.Sleep(2 * minPause)
				for _, audience := range []string{server, "another", "slow"} {
					_, err = source.Assertion(t.Context(), audience)
					assert.NoError(t, err)
				}
			})
		})
	}
}

// A caller whose context ends gets the SVID that there is, and a request that has taken a
// second already keeps nobody waiting.
func TestACallerInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		f.jwt = func(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			if f.asked() > 1 {
				<-ctx.Done()
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			return lasting(params.Audience, life), nil
		}
		source := fakeJWTSource(t, f)
		_, err := source.Assertion(t.Context(), server)
		require.NoError(t, err)
		time.Sleep(life / 2)
		ctx, cancel := context.WithTimeout(t.Context(), patience/2)
		defer cancel()
		_, err = source.Assertion(ctx, server)
		require.NoError(t, err)
		asked := time.Now()
		for range 10 {
			_, err = source.Assertion(t.Context(), server)
			require.NoError(t, err)
		}
		assert.Equal(t, patience/2, time.Since(asked), "the request is patience old then")
	})
}

// WithTimeout is the callers' alone: an agent that is slower serves those who come later.
func TestAnAgentThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{
			jwt: func(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
				select {
				case <-time.After(1500 * time.Millisecond):
					return lasting(params.Audience, life), nil
				case <-ctx.Done():
					return nil, status.FromContextError(ctx.Err()).Err()
				}
			},
			x509: func(ctx context.Context, _ int, watcher workloadapi.X509ContextWatcher) error {
				select {
				case <-time.After(1500 * time.Millisecond):
					send(watcher, hour(t))
				case <-ctx.Done():
				}
				return nil
			},
		}
		jwts, x509 := fakeJWTSource(t, f), fakeX509Source(t, f)
		jwts.cfg.timeout, x509.cfg.timeout = time.Second, time.Second
		for i := range 2 {
			_, err := jwts.Assertion(t.Context(), server)
			assert.Equal(t, i == 0, errors.Is(err, ErrUnavailable), "%v", err)
		}
		for i := range 2 {
			_, err := x509.Certificate(t.Context())
			assert.Equal(t, i == 0, errors.Is(err, ErrUnavailable), "%v", err)
		}
	})
}

// However long a caller would wait, a frozen agent is noticed.
func TestAnAgentThatIsFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{
			jwt: func(ctx context.Context, _ jwtsvid.Params) ([]*jwtsvid.SVID, error) {
				<-ctx.Done()
				return nil, status.FromContextError(ctx.Err()).Err()
			},
			x509: func(context.Context, int, workloadapi.X509ContextWatcher) error { return nil },
		}
		jwts, x509 := fakeJWTSource(t, f), fakeX509Source(t, f)
		jwts.cfg.timeout, x509.cfg.timeout = maxTimeout, maxTimeout
		start := time.Now()
		_, err := jwts.Assertion(t.Context(), server)
		assert.ErrorIs(t, err, ErrUnavailable)
		_, err = x509.Certificate(t.Context())
		assert.ErrorIs(t, err, ErrUnavailable)
		assert.Equal(t, 2*maxAnswer, time.Since(start))
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		assert.InDelta(t, 10*time.Minute/(maxAnswer+maxRedial), f.streams, 5, "it is asked again")
	})
}

// Wait says what the agent said last, also when its context ends in the middle of a request.
func TestWaitForAnIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		f.jwt = func(ctx context.Context, _ jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			if f.asked() > 1 {
				<-ctx.Done()
			}
			return nil, status.Error(codes.PermissionDenied, "no identity issued")
		}
		source := fakeJWTSource(t, f)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := source.Wait(ctx, server)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, ErrNoIdentity)

		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = fakeJWTSource(t, f).Wait(ctx, server)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, ErrNoIdentity)
	})
}

// However many audiences there are, a bounded number of SVIDs is kept.
func TestManyAudiences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{}
		hang := make(chan struct{})
		var hangs atomic.Bool
		f.jwt = func(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
			if hangs.Load() {
				<-hang
			}
			return lasting(params.Audience, life), nil
		}
		source := fakeJWTSource(t, f)
		for i := range maxAudiences + 10 {
			_, err := source.Assertion(t.Context(), fmt.Sprint(i))
			require.NoError(t, err)
		}
		assert.Len(t, source.svids.kept, maxAudiences)

		hangs.Store(true)
		for i := range maxAudiences {
			go func() { _, _ = source.Assertion(t.Context(), fmt.Sprint("hangs", i)) }()
		}
		synctest.Wait()
		_, err := source.Assertion(t.Context(), "one too many")
		assert.ErrorContains(t, err, "are being asked for already")
		close(hang)
	})
}

func TestPausesAfterFailures(t *testing.T) {
	now := time.Now()
	var known held
	var pauses []time.Duration
	for range 100 {
		known = known.after(nil, ErrUnavailable, now)
		pauses = append(pauses, known.next.Sub(now))
	}
	assert.Equal(t, []time.Duration{minPause, 2 * minPause, 4 * minPause, 8 * minPause, maxPause}, pauses[:5])
	assert.Equal(t, maxPause, slices.Min(pauses[4:]))
	assert.Equal(t, maxPause, slices.Max(pauses))
}

// An answer without the SVID that was asked for takes it back.
func TestAnAnswerWithoutTheSVID(t *testing.T) {
	now := time.Now()
	known := held{}.after(lasting(server, life)[0], nil, now)
	assert.True(t, known.usable(now))
	assert.True(t, known.after(nil, ErrUnavailable, now).usable(now))
	_, err := choose(&config{hint: "mine"}, nil)
	known = known.after(nil, err, now)
	assert.False(t, known.usable(now))
	_, err = known.token(now)
	assert.ErrorIs(t, err, certtoken.ErrNoCertificate)
}

// A source that is closed doesn't dial any more.
func TestAClosedSourceStaysClosed(t *testing.T) {
	source := fakeJWTSource(t, &fakeAgent{})
	source.dial = func(*config) (agent, error) {
		t.Error("dialled")
		return nil, ErrUnavailable
	}
	assert.NoError(t, source.Close())
	_, err := source.Assertion(t.Context(), server)
	assert.ErrorIs(t, err, ErrClosed)
}

// How long before its end an SVID is sent depends on its life.
func TestTheEndOfAnSVID(t *testing.T) {
	now := time.Now()
	for life, last := range map[time.Duration]time.Duration{
		10 * time.Second: 9 * time.Second, 5 * time.Minute: 5*time.Minute - maxMargin, time.Hour: time.Hour - maxMargin,
	} {
		known := held{}.after(&jwtsvid.SVID{Expiry: now.Add(life)}, nil, now)
		assert.True(t, known.usable(now.Add(last-time.Millisecond)), life)
		assert.False(t, known.usable(now.Add(last)), life)
		assert.Equal(t, now.Add(life/2), known.next)
	}
}
