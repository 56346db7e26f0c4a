package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// crowd lets n goroutines ask for a token at once and returns what they got.
func crowd(
	ctx context.Context,
	client *certtoken.Client,
	n int,
	scopes ...string,
) (tokens []*certtoken.Token, errs []error) {
	tokens, errs = make([]*certtoken.Token, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { tokens[i], errs[i] = client.Token(ctx, scopes...) })
	}
	wg.Wait()
	return tokens, errs
}

func TestStampedeIsOneRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: 200 * time.Millisecond})
		start := time.Now()
		tokens, errs := crowd(t.Context(), r.client, 1000, graph)
		assert.Equal(t, 200*time.Millisecond, time.Since(start))
		for i := range tokens {
			require.NoError(t, errs[i])
			require.Same(t, tokens[0], tokens[i])
		}
		assert.Equal(t, 1, r.server.Count())
	})
}

// The same against a real socket and the real clock, where goroutines really
// run at once.
func TestStampedeOverTheWire(t *testing.T) {
	server := certtokentest.NewServer(t, certtokentest.WithOpaqueTokens())
	r := newRigOf(t, server, nil, patiently())
	t.Cleanup(server.Client().CloseIdleConnections)
	for round := range 5 {
		scope := scopeOf(round)
		tokens, errs := crowd(t.Context(), r.client, 1000, scope)
		for i := range tokens {
			require.NoError(t, errs[i])
			require.Same(t, tokens[0], tokens[i])
		}
		require.Equal(t, round+1, server.Count())
	}
}

func TestColdScopesDontWaitForEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: 300 * time.Millisecond})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := r.client.Token(t.Context(), scopeOf(i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
		assert.Equal(t, 10, r.server.Count())
	})
}

// A key whose endpoint hangs doesn't delay callers of other keys.
func TestAHangingKeyIsAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.token(t, graph)
		r.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			if req.Scope == vault {
				return &certtokentest.Fault{Delay: time.Hour}
			}
			return nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.client.Token(t.Context(), vault) })
		synctest.Wait()
		r.hit(t, graph)
		start := time.Now()
		r.token(t, scopeOf(1))
		assert.Zero(t, time.Since(start))
		wg.Wait()
	})
}

func TestWaitersLeaveWithTheirOwnContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Fail(certtokentest.Fault{Delay: 5 * time.Second})
		why := errors.New("the request was withdrawn")
		var wg sync.WaitGroup
		for _, limit := range []time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				start := time.Now()
				_, err := r.client.Token(ctx, graph)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, "gave up waiting")
				assert.Equal(t, limit, time.Since(start))
			})
		}
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(2*time.Second, func() { cancel(why) })
			start := time.Now()
			_, err := r.client.Token(ctx, graph)
			assert.ErrorIs(t, err, context.Canceled, "the context's error")
			assert.ErrorIs(t, err, why, "and its cause")
			assert.Equal(t, 2*time.Second, time.Since(start))
		})
		wg.Go(func() {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, why)
			defer cancel()
			_, err := r.client.Token(ctx, graph)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorIs(t, err, why)
		})
		start := time.Now()
		r.token(t, graph)
		assert.Equal(t, 5*time.Second, time.Since(start))
		wg.Wait()
		assert.Equal(t, 1, r.server.Count())
	})
}

func TestACancelledLeaderFailsNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Fail(certtokentest.Fault{Delay: 5 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		leader := make(chan error, 1)
		go func() {
			_, err := r.client.Token(ctx, graph)
			leader <- err
		}()
		synctest.Wait() // the flight is under way, started by the leader
		time.AfterFunc(time.Second, cancel)
		_, errs := crowd(t.Context(), r.client, 50, graph)
		for _, err := range errs {
			assert.NoError(t, err)
		}
		assert.ErrorIs(t, <-leader, context.Canceled)
		assert.Equal(t, 1, r.server.Count())
	})
}

func TestAFlightOutlivesItsCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Fail(certtokentest.Fault{Delay: 3 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, errs := crowd(ctx, r.client, 10, graph)
		for _, err := range errs {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		time.Sleep(3 * time.Second)
		r.hit(t, graph)
		assert.Equal(t, 1, r.server.Count())
	})
}

func TestACallerWithoutTimeStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.client.Token(ctx, graph)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		assert.Zero(t, r.server.Count())
		tok := r.token(t, graph)
		got, err := r.client.Token(ctx, graph)
		require.NoError(t, err, "a cached token waits for nothing, so no context can end it")
		assert.Same(t, tok, got)
	})
}

// contextKey marks a value of the caller's context.
type contextKey struct{}

func TestAFlightKeepsItsLeadersValues(t *testing.T) {
	var seen any
	var r *rig
	source := certtoken.CertSourceFunc(func(ctx context.Context) (*certtoken.Certificate, error) {
		seen = ctx.Value(contextKey{})
		return r.cert, nil
	})
	r = newRigOf(t, nil, source)
	_, err := r.client.Token(context.WithValue(t.Context(), contextKey{}, "trace"), graph)
	require.NoError(t, err)
	assert.Equal(t, "trace", seen)
}

func nilMap() map[string]int { return nil }

// Whatever a user's source does, everybody who waits gets an error, and the
// next caller a new try.
func TestSourcesThatMisbehave(t *testing.T) {
	gone := errors.New("the vault is sealed")
	for name, c := range map[string]struct {
		source func(ctx context.Context) (*certtoken.Certificate, error)
		want   []string
		is     error
		within time.Duration
	}{
		"error": {
			func(context.Context) (*certtoken.Certificate, error) { return nil, gone },
			[]string{"certificate source", gone.Error()}, gone, 0,
		},
		"nothing": {
			func(context.Context) (*certtoken.Certificate, error) { return nil, nil }, []string{"nil certificate"},
			nil, 0,
		},
		"empty": {
			func(context.Context) (*certtoken.Certificate, error) { return new(certtoken.Certificate), nil },
			[]string{"Leaf is nil"}, certtoken.ErrNoCertificate, 0,
		},
		"panic": {
			func(context.Context) (*certtoken.Certificate, error) { panic("oops") },
			[]string{"panicked", "TestSourcesThatMisbehave"}, nil, 0,
		},
		"nil map": {func(context.Context) (*certtoken.Certificate, error) {
			nilMap()["a"]++
			return nil, nil
		}, []string{"panicked", "assignment to entry in nil map", "TestSourcesThatMisbehave"}, nil, 0},
		"panic with nil": {
			func(context.Context) (*certtoken.Certificate, error) { panic(nil) }, []string{"panicked"}, nil, 0,
		},
		"panic with an error": {
			func(context.Context) (*certtoken.Certificate, error) { panic(gone) },
			[]string{"panicked", "*errors.errorString"}, nil, 0,
		},
		"Goexit": {func(context.Context) (*certtoken.Certificate, error) {
			runtime.Goexit()
			return nil, nil
		}, []string{"ended its goroutine"}, nil, 0},
		"until the context ends": {func(ctx context.Context) (*certtoken.Certificate, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, []string{"certificate source", "deadline"}, context.DeadlineExceeded, 30 * time.Second},
		"longer than it may": {func(context.Context) (*certtoken.Certificate, error) {
			time.Sleep(5 * time.Minute)
			return nil, gone
		}, []string{"the certificate source did not return", "35s"}, context.DeadlineExceeded, 35 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var bad atomic.Bool
				var r *rig
				r = newRigOf(
					t,
					nil,
					certtoken.CertSourceFunc(func(ctx context.Context) (*certtoken.Certificate, error) {
						if bad.Load() {
							return c.source(ctx)
						}
						return r.cert, nil
					}),
				)
				bad.Store(true)
				start := time.Now()
				_, errs := crowd(context.Background(), r.client, 20, graph)
				assert.Equal(t, c.within, time.Since(start))
				for _, err := range errs {
					for _, want := range c.want {
						require.ErrorContains(t, err, want)
					}
					if c.is != nil {
						require.ErrorIs(t, err, c.is)
					}
				}
				assert.Zero(t, r.server.Count())
				bad.Store(false)
				r.token(t, graph)
				if name == "longer than it may" {
					time.Sleep(5 * time.Minute) // Close waits for it
				}
			})
		})
	}
}

// The same while there is a valid token: callers get no error.
func TestMisbehavingSourceDuringRenewal(t *testing.T) {
	for name, source := range map[string]func(context.Context) (*certtoken.Certificate, error){
		"panic":  func(context.Context) (*certtoken.Certificate, error) { panic("oops") },
		"Goexit": func(context.Context) (*certtoken.Certificate, error) { runtime.Goexit(); return nil, nil },
		"hangs":  func(ctx context.Context) (*certtoken.Certificate, error) { <-ctx.Done(); return nil, ctx.Err() },
		"error":  func(context.Context) (*certtoken.Certificate, error) { return nil, errors.New("gone") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var bad atomic.Bool
				var failed atomic.Int32
				var r *rig
				r = newRigOf(
					t,
					nil,
					certtoken.CertSourceFunc(func(ctx context.Context) (*certtoken.Certificate, error) {
						if bad.Load() {
							return source(ctx)
						}
						return r.cert, nil
					}),
					certtoken.WithHooks(certtoken.Hooks{RenewalFailed: func(certtoken.Event) { failed.Add(1) }}),
				)
				first := r.token(t, graph)
				bad.Store(true)
				for range 59 {
					time.Sleep(time.Minute)
					require.Same(t, first, r.hit(t, graph))
				}
				assert.Positive(t, failed.Load())
				bad.Store(false)
				time.Sleep(40 * time.Second) // beyond the end of a flight that hangs
				r.token(t, graph)
			})
		})
	}
}

func TestPanickingHooks(t *testing.T) {
	boom := func(certtoken.Event) { panic("boom") }
	for name, hooks := range map[string]certtoken.Hooks{
		"RequestStart":      {RequestStart: func(context.Context, certtoken.Event) context.Context { panic("boom") }},
		"RequestEnd":        {RequestEnd: func(context.Context, certtoken.Event) { panic("boom") }},
		"CertificateLoaded": {CertificateLoaded: boom},
		"Goexit":            {RequestEnd: func(context.Context, certtoken.Event) { runtime.Goexit() }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, certtoken.WithHooks(hooks))
				_, err := r.client.Token(t.Context(), graph)
				require.ErrorContains(t, err, "hook")
				require.NotContains(t, err.Error(), "boom", "what a panic says may be a secret")
			})
		})
	}
	t.Run("RenewalFailed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := newRig(t, certtoken.WithHooks(certtoken.Hooks{RenewalFailed: boom}))
			first := r.token(t, graph)
			r.server.FailAlways(certtokentest.Fault{Code: 53003})
			for range 59 {
				time.Sleep(time.Minute)
				require.Same(t, first, r.hit(t, graph))
			}
			synctest.Wait()
			r.server.ClearFaults()
			time.Sleep(time.Minute)
			r.token(t, graph)
		})
	})
}

// Keep-warm runs in a goroutine of the client, where no caller can recover a panic.
func TestPanickingHookOfKeepWarm(t *testing.T) {
	const child = "CERTTOKEN_TEST_CHILD"
	if os.Getenv(child) == "" { // the panic could take the whole process with it
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanickingHookOfKeepWarm$")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithKeepWarm(graph), certtoken.WithHooks(certtoken.Hooks{
			Miss: func(certtoken.Event) { panic("boom") },
			Hit:  func(certtoken.Event) { panic("boom") },
		}))
		time.Sleep(time.Hour)
		require.NoError(t, r.client.Close())
	})
}

func TestCloseDuringAFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Fail(certtokentest.Fault{Delay: time.Hour})
		done := make(chan []error)
		go func() {
			_, errs := crowd(t.Context(), r.client, 100, graph)
			done <- errs
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, r.client.Close())
		assert.Zero(t, time.Since(start), "a flight ends when its client is closed")
		for _, err := range <-done {
			require.ErrorIs(t, err, certtoken.ErrClosed)
		}
		assert.Zero(t, time.Since(start))
	})
}

func TestClosedClient(t *testing.T) {
	r := newRig(t)
	source := r.client.TokenSource(graph)
	_, err := source.Token()
	require.NoError(t, err)
	r.token(t, graph)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { assert.NoError(t, r.client.Close()) })
	}
	wg.Wait()
	require.NoError(t, r.client.Close())
	_, err = r.client.Token(t.Context(), graph)
	require.ErrorIs(t, err, certtoken.ErrClosed)
	_, err = r.client.Token(t.Context(), vault)
	require.ErrorIs(t, err, certtoken.ErrClosed)
	_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, MinValidity: time.Minute})
	require.ErrorIs(t, err, certtoken.ErrClosed)
	_, err = source.Token()
	require.ErrorIs(t, err, certtoken.ErrClosed)
	_, err = (&http.Client{Transport: r.client.Transport(r.server.Transport(), graph)}).Get("https://api.example.com/")
	require.ErrorIs(t, err, certtoken.ErrClosed)
	assert.Zero(t, certtoken.CacheLen(r.client), "tokens are forgotten")
	assert.Equal(t, 1, r.server.Count())
}

// Callers come and go while the client is closed: every one gets a token or
// ErrClosed, and nothing is left.
func TestCloseUnderLoad(t *testing.T) {
	for range 20 {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.server.FailAlways(certtokentest.Fault{Delay: time.Millisecond})
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					for n := range 20 {
						_, err := r.client.Token(t.Context(), scopeOf((i*20+n)%30))
						if err != nil {
							assert.ErrorIs(t, err, certtoken.ErrClosed)
						}
					}
				})
			}
			time.Sleep(time.Duration(rand.IntN(20)) * 100 * time.Microsecond)
			assert.NoError(t, r.client.Close())
			wg.Wait()
		})
	}
}

// A signer that never comes back can't be ended, so Close says so and goes.
func TestCloseReportsWhatDoesntEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		server := certtokentest.New()
		client, err := certtoken.NewClient(
			server.Authority(),
			appID,
			certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
				<-release
				return cert, nil
			}),
			certtoken.WithHTTPClient(server.Client()),
		)
		require.NoError(t, err)
		done := make(chan []error)
		go func() {
			_, errs := crowd(t.Context(), client, 100, graph)
			done <- errs
		}()
		synctest.Wait()
		start := time.Now()
		closed := make(chan error)
		go func() { closed <- client.Close() }()
		for _, err := range <-done {
			require.ErrorIs(t, err, certtoken.ErrClosed)
		}
		assert.Zero(t, time.Since(start), "waiters don't wait for it")
		assert.ErrorContains(t, <-closed, "the certificate source did not return")
		assert.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, client.Close())
		close(release)
		synctest.Wait()
	})
}

func TestAForgottenClientLeaksNothing(t *testing.T) {
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	before := runtime.NumGoroutine()
	forgotten := func() weak.Pointer[certtoken.Client] {
		client, err := certtoken.NewClient(server.Authority(), appID, cert, certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		_, err = client.Token(t.Context(), graph)
		require.NoError(t, err)
		_, err = client.TokenSource(graph).Token()
		require.NoError(t, err)
		return weak.Make(client)
	}()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		runtime.GC()
		if forgotten.Value() == nil && runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	assert.Nil(t, forgotten.Value(), "something holds on to the client")
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

// Renewal begins at 75 % of the lifetime, or at refresh_in, ± 10 %.
func TestWhenRenewalBegins(t *testing.T) {
	for name, c := range map[string]struct {
		life, refreshIn time.Duration
		want            time.Duration
	}{
		"three quarters":                 {time.Hour, 0, 45 * time.Minute},
		"refresh_in":                     {24 * time.Hour, 12 * time.Hour, 12 * time.Hour},
		"a short token":                  {time.Minute, 0, 45 * time.Second},
		"refresh_in that makes no sense": {time.Hour, 2 * time.Hour, 45 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				step := c.want / 200
				var began []time.Duration
				for range 40 {
					server := certtokentest.New(
						certtokentest.WithOpaqueTokens(),
						certtokentest.WithTokenLifetime(c.life),
						certtokentest.WithRefreshIn(c.refreshIn),
					)
					r := newRigOf(t, server, nil)
					start := time.Now()
					first := r.token(t, graph)
					for server.Count() == 1 {
						time.Sleep(step)
						r.hit(t, graph)
						synctest.Wait()
						require.Less(t, time.Since(start), c.life)
					}
					took := time.Since(start)
					began = append(began, took)
					require.InDelta(t, first.RenewAt().Sub(start).Seconds(), took.Seconds(), step.Seconds()+1)
				}
				slices.Sort(began)
				low, high := began[0], began[len(began)-1]
				assert.GreaterOrEqual(t, low, c.want*9/10)
				assert.LessOrEqual(t, high, c.want*11/10+step)
				assert.Greater(t, high-low, c.want/10, "a fleet must not move in step")
			})
		})
	}
}

func TestOneRenewalUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		source := r.client.TokenSource(graph)
		first := r.token(t, graph)
		time.Sleep(50 * time.Minute) // renewal is due
		r.server.FailAlways(certtokentest.Fault{Delay: 2 * time.Second})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if i%2 == 0 {
					tok, err := r.client.Token(t.Context(), graph)
					assert.NoError(t, err)
					assert.Same(t, first, tok)
					return
				}
				tok, err := source.Token()
				assert.NoError(t, err)
				assert.Equal(t, first.AccessToken(), tok.AccessToken)
			})
		}
		wg.Wait()
		assert.Zero(t, time.Since(start), "a caller waits for a renewal")
		time.Sleep(3 * time.Second)
		assert.NotSame(t, first, r.hit(t, graph))
		assert.Equal(t, 2, r.server.Count())
	})
}

// While the token is valid no caller waits and none gets an error, whatever the
// endpoint does, and it is handed out until min(30 s, 5 %) before its end.
func TestNobodyWaitsWhileTheTokenIsValid(t *testing.T) {
	for name, fault := range map[string]certtokentest.Fault{
		"hangs":          {Delay: time.Hour},
		"503":            {Status: 503},
		"429":            certtokentest.Throttle(20 * time.Second),
		"429, long":      certtokentest.Throttle(time.Hour),
		"refuses":        {Code: 700027},
		"HTML":           {Shape: certtokentest.HTML},
		"reset":          {Shape: certtokentest.ResetConnection},
		"slow body":      {BodyDelay: time.Hour},
		"without an end": {Shape: certtokentest.EndlessBody},
	} {
		for _, life := range []time.Duration{time.Hour, time.Minute, 10 * time.Second} {
			t.Run(fmt.Sprintf("%s, %v", name, life), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(life))
					r := newRigOf(t, server, nil)
					source := r.client.TokenSource(graph)
					start := time.Now()
					first := r.token(t, graph)
					server.FailAlways(fault)
					usable := life - min(30*time.Second, life/20)
					for step := life / 240; time.Since(start)+step < usable; {
						time.Sleep(step)
						require.Same(t, first, r.hit(t, graph))
						tok, err := source.Token()
						require.NoError(t, err)
						require.Equal(t, first.AccessToken(), tok.AccessToken)
					}
					assert.Greater(t, server.Count(), 1, "no renewal was tried")
					time.Sleep(time.Until(start.Add(usable)))
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					_, err := r.client.Token(ctx, graph)
					require.Error(t, err, "a token was handed out too near to its end")
				})
			})
		}
	}
}

func TestShortTokensAreCached(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 4 * time.Minute} {
		t.Run(life.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(life))
				r := newRigOf(t, server, nil)
				start := time.Now()
				r.token(t, graph)
				for time.Since(start) < 10*life {
					r.hit(t, graph)
					time.Sleep(life / 50)
				}
				synctest.Wait()
				assert.InDelta(t, 10/0.75, server.Count(), 3, "one request for each three quarters of a lifetime")
			})
		})
	}
}

// The pause after a failed renewal is 30 s and doubles to 5 min; hooks see it.
func TestPausesAfterFailedRenewals(t *testing.T) {
	for name, c := range map[string]struct {
		fault certtokentest.Fault
		want  []time.Duration
	}{
		"refused": {
			certtokentest.Fault{Code: 53003},
			[]time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute,
				5 * time.Minute},
		},
		"Retry-After 90 s": {
			certtokentest.Throttle(90 * time.Second),
			[]time.Duration{90 * time.Second, 90 * time.Second, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute},
		},
		"Retry-After 1 h": {
			certtokentest.Throttle(time.Hour), []time.Duration{5 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		},
		"an HTTP date": {
			certtokentest.Fault{Code: 90055, RetryAfter: 100 * time.Second, RetryDate: true},
			[]time.Duration{100 * time.Second, 100 * time.Second, 2 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				var failed []certtoken.Event
				server := certtokentest.New(
					certtokentest.WithOpaqueTokens(),
					certtokentest.WithTokenLifetime(3*time.Hour),
				)
				r := newRigOf(
					t,
					server,
					nil,
					certtoken.WithHooks(certtoken.Hooks{RenewalFailed: func(e certtoken.Event) {
						mu.Lock()
						defer mu.Unlock()
						failed = append(failed, e)
					}}),
				)
				first := r.token(t, graph)
				server.FailAlways(c.fault)
				for server.Count() < len(c.want)+2 {
					time.Sleep(time.Second)
					require.Same(t, first, r.hit(t, graph))
					synctest.Wait()
				}
				requests := server.Requests()
				for i, want := range c.want {
					pause := requests[i+2].Time.Sub(requests[i+1].Time)
					assert.InDelta(t, want.Seconds(), pause.Seconds(), 1.5, "pause %d", i+1)
					e := failed[i]
					assert.InDelta(t, want.Seconds(), e.RetryIn.Seconds(), 0.01)
					assert.Error(t, e.Err)
					assert.Equal(t, []string{graph}, e.Scopes)
					assert.True(t, e.ExpiresAt.Equal(first.ExpiresAt()))
				}
				server.ClearFaults()
				time.Sleep(5 * time.Minute)
				r.hit(t, graph)
				synctest.Wait()
				assert.NotSame(t, first, r.hit(t, graph), "it recovers")
			})
		})
	}
}

// A token of a minute gets more than one chance to be renewed.
func TestShortTokenSurvivesAFailedRenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Minute))
		r := newRigOf(t, server, nil)
		start := time.Now()
		r.token(t, graph)
		server.Fail(certtokentest.Fault{Code: 53003}) // one
		for time.Since(start) < 5*time.Minute {
			time.Sleep(500 * time.Millisecond)
			r.hit(t, graph)
		}
	})
}

func TestAfterTheEndOneRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		for round := range 3 {
			time.Sleep(2 * time.Hour)
			tokens, errs := crowd(t.Context(), r.client, 100, graph)
			for i := range tokens {
				require.NoError(t, errs[i])
				require.NotSame(t, first, tokens[i])
				require.Same(t, tokens[0], tokens[i])
			}
			require.Equal(t, round+2, r.server.Count())
		}
	})
}

func TestKeepWarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithKeepWarm(graph), certtoken.WithKeepWarm(vault))
		synctest.Wait()
		assert.Equal(t, 2, r.server.Count(), "from NewClient on")
		for range 100 {
			time.Sleep(97 * time.Minute) // no caller asks for longer than a token lives
			r.hit(t, graph)
			r.hit(t, vault)
		}
		assert.Less(t, r.server.Count(), 2*100*97/60*2, "it asks too often")
		last := map[string]time.Time{}
		for _, req := range r.server.Requests() {
			if at, ok := last[req.Scope]; ok {
				require.Less(t, req.Time.Sub(at), 50*time.Minute, "it waited for the token's end")
			}
			last[req.Scope] = req.Time
		}
		require.NoError(t, r.client.Close()) // the bubble ends only if its goroutines do
		count := r.server.Count()
		time.Sleep(5 * time.Hour)
		assert.Equal(t, count, r.server.Count())
	})
}

func TestKeepWarmRecovers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour))
		server.FailAlways(certtokentest.Fault{Status: 503})
		r := newRigOf(t, server, nil, certtoken.WithKeepWarm(graph))
		time.Sleep(10 * time.Minute)
		assert.LessOrEqual(t, server.Count(), 3*20+3, "it hammers an endpoint that is down")
		server.ClearFaults()
		time.Sleep(time.Minute)
		r.hit(t, graph) // was down from the beginning

		time.Sleep(30 * time.Minute)
		server.FailAlways(certtokentest.Fault{Code: 53003})
		time.Sleep(3 * time.Hour) // the token ends meanwhile
		server.ClearFaults()
		time.Sleep(6 * time.Minute)
		r.hit(t, graph)
	})
}

// A scope that hangs doesn't let the others grow cold.
func TestKeepWarmScopesAreIndependent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Minute))
		server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			if req.Scope == vault {
				return &certtokentest.Fault{Delay: time.Hour}
			}
			return nil
		})
		r := newRigOf(t, server, nil, certtoken.WithKeepWarm(vault), certtoken.WithKeepWarm(graph))
		synctest.Wait()
		for range 30 {
			r.hit(t, graph)
			time.Sleep(61 * time.Second)
		}
	})
}

// Strangers' keys don't push the warm one out.
func TestKeepWarmStaysInAFullCache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		endpoint := &stub{life: 24 * 3600}
		client := newStubClient(t, endpoint, certtoken.WithKeepWarm(graph), certtoken.WithCacheLimit(50))
		synctest.Wait()
		first, err := client.Token(t.Context(), graph)
		require.NoError(t, err)
		for i := range 3_000 {
			time.Sleep(time.Second)
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
		}
		last, err := client.Token(t.Context(), graph)
		require.NoError(t, err)
		assert.Same(t, first, last)
	})
}

func TestForegroundRenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithForegroundRenewal())
		first := r.token(t, graph)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Second})
		time.Sleep(20 * time.Minute)
		require.Same(t, first, r.hit(t, graph))
		time.Sleep(30 * time.Minute) // due

		start := time.Now()
		second := r.token(t, graph)
		assert.Equal(t, time.Second, time.Since(start), "the caller renews")
		assert.NotSame(t, first, second)
		assert.Equal(t, 2, r.server.Count())

		r.server.FailAlways(certtokentest.Fault{Status: 400, Error: "invalid_request"})
		time.Sleep(50 * time.Minute)
		require.Same(t, second, r.token(t, graph), "the renewal failed, the token is valid")
		for range 20 {
			require.Same(t, second, r.hit(t, graph))
		}
		assert.Equal(t, 3, r.server.Count(), "and isn't tried for each caller")
		time.Sleep(11 * time.Minute)
		_, err := r.client.Token(t.Context(), graph)
		require.Error(t, err, "over is over")
	})
}

// While one caller renews, the others get the valid token, and so does the first one if
// its time ends before the renewal.
func TestForegroundRenewalOfASlowEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithForegroundRenewal())
		first := r.token(t, graph)
		time.Sleep(50 * time.Minute)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		leader := make(chan *certtoken.Token)
		go func() {
			tok, err := r.client.Token(ctx, graph)
			assert.NoError(t, err, "its token is valid")
			leader <- tok
		}()
		synctest.Wait()
		require.Same(t, first, r.hit(t, graph))
		assert.Same(t, first, <-leader)
		time.Sleep(time.Minute)
	})
}

func TestTokensWithoutExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Shape: certtokentest.NoExpiry})
		first := r.token(t, graph)
		require.Same(t, first, r.hit(t, graph), "it is cached")
		assert.True(t, first.ExpiresAt().Equal(time.Now().Add(time.Minute)), "for a minute")
		time.Sleep(time.Minute)
		require.NotSame(t, first, r.token(t, graph))
	})
}

// Service that only renews what it uses: the dead weight of the past leaves.
func TestExpiredTokensLeaveWithoutNewKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client := newStubClient(t, &stub{life: 60})
		for i := range 500 {
			_, err := client.Token(t.Context(), scopeOf(i))
			require.NoError(t, err)
		}
		for range 24 * 60 * 2 {
			time.Sleep(30 * time.Second)
			_, err := client.Token(t.Context(), graph)
			require.NoError(t, err)
		}
		assert.Less(t, certtoken.CacheLen(client), 50)
	})
}
