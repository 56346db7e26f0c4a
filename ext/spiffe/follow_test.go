package spiffe

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken"
)

// fakeAgent answers without a connection, so that a test's bubble moves time.
type fakeAgent struct {
	x509 func(ctx context.Context, stream int, watcher workloadapi.X509ContextWatcher) error
	jwt  func(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error)

	mu      sync.Mutex
	streams int
	jwts    int
}

func (f *fakeAgent) WatchX509Context(ctx context.Context, watcher workloadapi.X509ContextWatcher) error {
	f.mu.Lock()
	f.streams++
	n := f.streams
	f.mu.Unlock()
	err := f.x509(ctx, n, watcher)
	if err == nil {
		<-ctx.Done()
		err = status.FromContextError(ctx.Err()).Err()
	}
	watcher.OnX509ContextWatchError(err)
	return err
}

func (f *fakeAgent) FetchJWTSVIDs(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error) {
	f.mu.Lock()
	f.jwts++
	f.mu.Unlock()
	return f.jwt(ctx, params)
}

func (f *fakeAgent) Close() error { return nil }

func (f *fakeAgent) dial(*config) (agent, error) { return f, nil }

func (f *fakeAgent) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jwts
}

func fakeX509Source(t *testing.T, f *fakeAgent) *X509Source {
	t.Helper()
	source, err := NewX509Source(WithAddress("unix:///agent"))
	require.NoError(t, err)
	source.dial = f.dial
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

var myApp = spiffeid.RequireFromString("spiffe://example.org/my-app")

// svid makes an X.509-SVID of myApp.
func svid(t *testing.T, curve elliptic.Curve, notBefore, notAfter time.Time) *x509svid.SVID {
	t.Helper()
	return svidOf(t, myApp, curve, notBefore, notAfter)
}

func svidOf(
	t *testing.T, id spiffeid.ID, curve elliptic.Curve, notBefore, notAfter time.Time,
) *x509svid.SVID {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter, URIs: []*url.URL{id.URL()},
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &x509svid.SVID{ID: id, Certificates: []*x509.Certificate{leaf}, PrivateKey: crypto.Signer(key)}
}

func hour(t *testing.T) *x509svid.SVID {
	now := time.Now()
	return svid(t, elliptic.P256(), now, now.Add(time.Hour))
}

func send(watcher workloadapi.X509ContextWatcher, svids ...*x509svid.SVID) {
	watcher.OnX509ContextUpdate(&workloadapi.X509Context{SVIDs: svids})
}

// A stream that has fallen silent is opened anew in time, so that the SVID never ends.
func TestASilentStreamIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, _ int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, hour(t))
				return nil
			},
		})
		start := time.Now()
		for time.Since(start) < 24*time.Hour {
			_, err := source.Certificate(t.Context())
			require.NoError(t, err)
			time.Sleep(30 * time.Second)
		}
	})
}

// A frozen agent costs nobody anything before the SVID ends, and the error then says both.
func TestAnAgentThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
				if stream == 1 {
					send(watcher, hour(t))
				}
				return nil
			},
		})
		first, err := source.Certificate(t.Context())
		require.NoError(t, err)
		time.Sleep(50 * time.Minute)
		assert.NoError(t, source.Health())
		time.Sleep(9 * time.Minute)
		assert.ErrorIs(t, source.Health(), ErrUnavailable)
		assert.ErrorContains(t, source.Health(), "the agent doesn't answer")
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.Same(t, first, cert)
		time.Sleep(2 * time.Minute)
		_, err = source.Certificate(t.Context())
		assert.ErrorIs(t, err, certtoken.ErrExpired)
		assert.ErrorIs(t, err, ErrUnavailable)
	})
}

// Who has only an SVID that is over waits for the next one.
func TestAnSVIDThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		over := svid(t, elliptic.P256(), now.Add(-2*time.Hour), now.Add(-time.Hour))
		good := svid(t, elliptic.P256(), now, now.Add(time.Hour))
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, over)
				time.Sleep(time.Second)
				send(watcher, good)
				return nil
			},
		})
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, cert.Leaf.Equal(good.Certificates[0]))
	})
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		over := svid(t, elliptic.P256(), now.Add(-2*time.Hour), now.Add(-time.Hour))
		f := &fakeAgent{
			x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, over)
				return nil
			},
		}
		_, err := fakeX509Source(t, f).Certificate(t.Context())
		assert.ErrorIs(t, err, certtoken.ErrExpired)
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		assert.InDelta(t, 10*time.Minute/(minSilence+maxRedial), f.streams, 10, "not in a loop")
	})
}

// The SVID before helps out while the new one isn't valid yet.
func TestAnSVIDOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		before, after := hour(t), svid(t, elliptic.P256(), now.Add(10*time.Second), now.Add(time.Hour))
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, before)
				send(watcher, after)
				return nil
			},
		})
		require.NoError(t, source.Wait(t.Context()))
		synctest.Wait()
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, cert.Leaf.Equal(before.Certificates[0]))
		time.Sleep(10 * time.Second)
		cert, err = source.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, cert.Leaf.Equal(after.Certificates[0]))
	})
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, svid(t, elliptic.P256(), now.Add(time.Minute), now.Add(time.Hour)))
				return nil
			},
		})
		_, err := source.Certificate(t.Context())
		require.ErrorIs(t, err, certtoken.ErrNotYetValid)
		assert.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
	})
}

// Who waits for an SVID that isn't valid yet has it as soon as it is.
func TestWaitForAnSVIDOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		source := fakeX509Source(t, &fakeAgent{
			x509: func(_ context.Context, _ int, watcher workloadapi.X509ContextWatcher) error {
				send(watcher, svid(t, elliptic.P256(), start.Add(5*time.Second), start.Add(time.Hour)))
				return nil
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		err := source.Wait(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, certtoken.ErrNotYetValid)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, source.Wait(ctx))
		assert.LessOrEqual(t, time.Since(start), 5*time.Second+recheck)
	})
}

// A caller who gave up is told what was wrong before, if anything was.
func TestWhoGaveUp(t *testing.T) {
	now := time.Now()
	raw := svid(t, elliptic.P256(), now, now.Add(time.Hour))
	valid := standing{newest: &certtoken.Certificate{Leaf: raw.Certificates[0], Signer: raw.PrivateKey}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&X509Source{cfg: config{address: "unix:///a"}}).gaveUp(ctx, valid)
	assert.EqualError(t, err, "spiffe: gave up waiting for an SVID from unix:///a: context canceled")
}

// An SVID that can't sign leaves the one before in use.
func TestAnSVIDThatCannotSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		good, p224, swapped := hour(t), svid(t, elliptic.P224(), now, now.Add(time.Hour)), hour(t)
		swapped.PrivateKey = good.PrivateKey
		for bad, is := range map[*x509svid.SVID]error{p224: certtoken.ErrUnsupported,
			swapped: certtoken.ErrKeyMismatch} {
			source := fakeX509Source(t, &fakeAgent{
				x509: func(_ context.Context, stream int, watcher workloadapi.X509ContextWatcher) error {
					send(watcher, good)
					send(watcher, bad)
					return nil
				},
			})
			require.NoError(t, source.Wait(t.Context()))
			synctest.Wait()
			cert, err := source.Certificate(t.Context())
			require.NoError(t, err)
			assert.True(t, cert.Leaf.Equal(good.Certificates[0]))
			assert.ErrorIs(t, source.Health(), is)
		}
	})
}

// An answer that lists another identity alone takes the first one back, also when what it
// lists can't be used.
func TestAnAnswerOfAnotherIdentity(t *testing.T) {
	other := spiffeid.RequireFromString("spiffe://example.org/other")
	for name, c := range map[string]struct {
		curve elliptic.Curve
		from  time.Duration
		is    error
	}{
		"whose key can't sign": {elliptic.P224(), 0, certtoken.ErrUnsupported},
		"not valid yet":        {elliptic.P256(), time.Minute, certtoken.ErrNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				source := fakeX509Source(t, &fakeAgent{
					x509: func(_ context.Context, _ int, watcher workloadapi.X509ContextWatcher) error {
						send(watcher, hour(t))
						time.Sleep(time.Second)
						send(watcher, svidOf(t, other, c.curve, now.Add(c.from), now.Add(time.Hour)))
						return nil
					},
				})
				require.NoError(t, source.Wait(t.Context()))
				time.Sleep(2 * time.Second)
				_, err := source.Certificate(t.Context())
				require.ErrorIs(t, err, c.is)
				assert.ErrorIs(t, source.Health(), c.is)
			})
		})
	}
}

// Without an agent it is dialled in bounded pauses, and never in a loop.
func TestPauses(t *testing.T) {
	pauses := redial{}.NewBackoff()
	var got []time.Duration
	for range 6 {
		got = append(got, pauses.Next())
	}
	assert.Equal(t, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, maxRedial,
		maxRedial}, got)
	pauses.Reset()
	assert.Equal(t, 500*time.Millisecond, pauses.Next())

	synctest.Test(t, func(t *testing.T) {
		f := &fakeAgent{x509: func(context.Context, int, workloadapi.X509ContextWatcher) error {
			return status.Error(codes.Canceled, "bye")
		}}
		source := fakeX509Source(t, f)
		_, err := source.Certificate(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		assert.InDelta(t, 10*time.Minute/maxRedial, f.streams, 5)
	})
}
