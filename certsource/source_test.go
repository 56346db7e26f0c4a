package certsource_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
)

// place is where a certificate is kept, as a test has it.
type place struct {
	mu    sync.Mutex
	cert  *certtoken.Certificate
	err   error
	asked int
	takes time.Duration
	hangs chan struct{} // not nil: load returns when it is closed, whatever its context
	known []*certtoken.Certificate
}

func (p *place) load(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
	p.mu.Lock()
	p.asked++
	p.known = append(p.known, known)
	takes, hangs := p.takes, p.hangs
	p.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cert, p.err
}

func (p *place) set(cert *certtoken.Certificate, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cert, p.err = cert, err
}

func (p *place) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *place) source(t *testing.T, opts ...certsource.Option) *certsource.Source {
	t.Helper()
	source, err := certsource.New("the safe", p.load, opts...)
	require.NoError(t, err)
	return source
}

func newCert(t *testing.T, opts ...certtokentest.CertOption) *certtoken.Certificate {
	t.Helper()
	return certtokentest.NewCertificate(t, append(opts, certtokentest.WithKeyKind(certtokentest.P256))...)
}

func validFor(from, to time.Duration) certtokentest.CertOption {
	now := time.Now().Truncate(time.Second)
	return certtokentest.WithValidity(now.Add(from), now.Add(to))
}

func get(t *testing.T, source *certsource.Source) *certtoken.Certificate {
	t.Helper()
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	return cert
}

func TestConformance(t *testing.T) {
	made := newCert(t)
	bare, err := certtoken.NewKey(made.Signer, "")
	require.NoError(t, err)
	for name, cert := range map[string]*certtoken.Certificate{"certificate": made, "key alone": bare} {
		t.Run(name, func(t *testing.T) {
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
				return (&place{cert: cert}).source(t)
			})
		})
	}
}

func TestManyCallersAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t), takes: time.Second}
		source := p.source(t)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				cert, err := source.Certificate(t.Context())
				assert.NoError(t, err)
				assert.Same(t, p.cert, cert)
			})
		}
		wg.Wait()
		for range 100 {
			get(t, source)
		}
		assert.Equal(t, 1, p.count())
		assert.NoError(t, source.Health())
	})
}

func TestARenewedCertificateIsTakenUpBehindTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCert(t), newCert(t)
		p := &place{cert: first}
		source := p.source(t, certsource.WithRefreshInterval(time.Hour))
		assert.Same(t, first, get(t, source))
		p.set(second, nil)
		p.takes = time.Second

		time.Sleep(time.Hour - time.Second)
		assert.Same(t, first, get(t, source))
		synctest.Wait()
		assert.Equal(t, 1, p.count(), "the interval isn't over")

		time.Sleep(time.Second)
		began := time.Now()
		assert.Same(t, first, get(t, source))
		assert.Zero(t, time.Since(began), "no caller waits")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Same(t, second, get(t, source))
		assert.Equal(t, []*certtoken.Certificate{nil, first}, p.known)
	})
}

func TestAnOutageIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("the safe is locked")
		p := &place{cert: newCert(t)}
		source := p.source(t)
		cert := get(t, source)
		p.set(nil, down)
		time.Sleep(15 * time.Minute)
		asked := p.count()
		for range 60 * 60 { // a caller a second for an hour
			assert.Same(t, cert, get(t, source))
			time.Sleep(time.Second)
		}
		calls := p.count() - asked
		assert.True(t, 12 <= calls && calls <= 16, "%d calls: 30 s, 1, 2, 4 min, then each 5", calls)
		require.ErrorIs(t, source.Health(), down)
		assert.EqualError(t, source.Health(), "the safe: the safe is locked")

		p.set(cert, nil)
		time.Sleep(5 * time.Minute)
		get(t, source)
		synctest.Wait()
		assert.NoError(t, source.Health())
	})
}

func TestWithoutACertificateCallersGetTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("the safe is locked")
		p := &place{err: down}
		source := p.source(t)
		assert.NoError(t, source.Health(), "nothing is known yet")
		for range 100 {
			_, err := source.Certificate(t.Context())
			require.ErrorIs(t, err, down)
		}
		assert.Equal(t, 1, p.count(), "the error is remembered for a second")
		for range 60 {
			time.Sleep(time.Second)
			_, err := source.Certificate(t.Context())
			require.ErrorIs(t, err, down)
		}
		assert.Equal(t, 9, p.count(), "after 1, 2, 4, 8 s, then each 10")
		p.set(newCert(t), nil)
		time.Sleep(10 * time.Second)
		get(t, source)
		assert.NoError(t, source.Health())
	})
}

func TestACallerLeavesWithItsContextAndTheResultIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t), takes: 4 * time.Second}
		source := p.source(t)
		why := errors.New("why")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		began := time.Now()
		_, err := source.Certificate(ctx)
		require.ErrorIs(t, err, why)
		assert.ErrorContains(t, err, "the safe: gave up waiting")
		assert.Equal(t, time.Second, time.Since(began))
		time.Sleep(time.Minute)
		began = time.Now()
		get(t, source)
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 1, p.count())
	})
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{takes: time.Hour}
		source := p.source(t, certsource.WithTimeout(5*time.Second))
		began := time.Now()
		_, err := source.Certificate(t.Context())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// A function that hangs in spite of its context is given up, and is called once.
func TestAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t), hangs: make(chan struct{})}
		source := p.source(t, certsource.WithTimeout(5*time.Second))
		began := time.Now()
		_, err := source.Certificate(t.Context())
		assert.EqualError(t, err, "the safe: no answer in time: under way for 6s")
		assert.Equal(t, 6*time.Second, time.Since(began))
		began = time.Now()
		for range 100 {
			_, err = source.Certificate(t.Context())
			assert.Error(t, err)
			assert.Error(t, source.Reload(t.Context(), nil))
		}
		assert.Zero(t, time.Since(began), "no caller waits again for what is overdue")
		assert.Equal(t, 1, p.count())
		close(p.hangs)
		synctest.Wait()
		assert.Same(t, p.cert, get(t, source), "a late answer is one")
	})
}

func TestAHangBehindTheCallersIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t)}
		source := p.source(t, certsource.WithTimeout(5*time.Second))
		cert := get(t, source)
		p.hangs = make(chan struct{})
		time.Sleep(15 * time.Minute)
		for range 60 {
			assert.Same(t, cert, get(t, source))
			time.Sleep(time.Second)
		}
		assert.Equal(t, 2, p.count())
		assert.ErrorContains(t, source.Health(), "no answer in time")
		close(p.hangs)
		synctest.Wait()
		assert.NoError(t, source.Health())
	})
}

// jwt is a text in the shape of a token.
const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2VjcmV0c2VjcmV0"

// What a function of the user's may do that it shouldn't. A last good certificate survives
// all of it.
func TestMistakesOfTheFunction(t *testing.T) {
	good, other := newCert(t), newCert(t)
	for _, test := range []struct {
		name string
		load certsource.Load
		says string
		is   error
	}{
		{"panic", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			panic("s3cret")
		}, "panicked", nil},
		{"end of the goroutine", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			runtime.Goexit()
			return nil, nil
		}, "ended its goroutine", nil},
		{"nothing", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return nil, nil
		}, "neither a certificate nor an error", nil},
		{"another key", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return &certtoken.Certificate{Leaf: good.Leaf, Signer: other.Signer}, nil
		}, "the safe: the private key", certtoken.ErrKeyMismatch},
		{"no key", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return &certtoken.Certificate{Leaf: good.Leaf}, nil
		}, "", certtoken.ErrNoPrivateKey},
		{"another key, and a key id", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return &certtoken.Certificate{Leaf: good.Leaf, KeyID: "id", Signer: other.Signer}, nil
		}, "", certtoken.ErrKeyMismatch},
		{"an empty certificate", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return &certtoken.Certificate{}, nil
		}, "", certtoken.ErrNoCertificate},
		{"a token in the error", func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			return nil, fmt.Errorf("refused: %s\n%s", jwt, strings.Repeat("x", 9000))
		}, "refused: [removed]", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := false
				source, err := certsource.New("the safe",
					func(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
						if !bad {
							return good, nil
						}
						return test.load(ctx, known)
					})
				require.NoError(t, err)
				get(t, source)
				bad = true
				time.Sleep(15 * time.Minute)
				assert.Same(t, good, get(t, source))
				synctest.Wait()
				check := func(err error) {
					t.Helper()
					require.ErrorContains(t, err, test.says)
					if test.is != nil {
						assert.ErrorIs(t, err, test.is)
					}
					assert.NotContains(t, err.Error(), "s3cret")
					assert.NotContains(t, err.Error(), "certtoken: ")
					assert.Less(t, len(err.Error()), 1100)
				}
				check(source.Health())

				calls := 0
				cold, err := certsource.New("the safe",
					func(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
						calls++
						return test.load(ctx, known)
					})
				require.NoError(t, err)
				for range 10 {
					_, err = cold.Certificate(t.Context())
					check(err)
				}
				assert.Equal(t, 1, calls, "there is a pause")
			})
		})
	}
}

func TestACertificateThatIsNotYetValidWaitsForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t)}
		source := p.source(t)
		first := get(t, source)
		p.set(newCert(t, validFor(15*time.Minute+10*time.Second, time.Hour)), nil)
		time.Sleep(15 * time.Minute)
		get(t, source)
		synctest.Wait()
		assert.Same(t, first, get(t, source))
		assert.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
		time.Sleep(10 * time.Second)
		get(t, source)
		synctest.Wait()
		assert.Same(t, p.cert, get(t, source))
		assert.NoError(t, source.Health())
	})
}

func TestAnExpiredCertificateIsHandedOutOnlyWithoutABetterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(-time.Hour, time.Minute))}
		source := p.source(t)
		old := get(t, source)
		time.Sleep(2 * time.Minute)
		assert.ErrorIs(t, source.Health(), certtoken.ErrExpired)
		assert.Same(t, old, get(t, source), "signing says what is wrong with it")
		assert.Same(t, old, get(t, p.source(t)), "so it is with one that was expired when it was loaded")
		p.set(nil, errors.New("the safe is locked"))
		time.Sleep(15 * time.Minute)
		_, err := source.Certificate(t.Context())
		assert.ErrorIs(t, err, certtoken.ErrExpired)
		assert.ErrorContains(t, err, "the safe is locked")
		p.set(newCert(t), nil)
		time.Sleep(10 * time.Second)
		assert.Same(t, p.cert, get(t, source), "it is waited for")
	})
}

// Neither the interval nor the pause after a failure delays the renewed certificate when the
// old one has expired.
func TestARenewedCertificateIsTakenUpWhenTheOldOneExpires(t *testing.T) {
	for name, outage := range map[string]error{
		"within the interval":             nil,
		"in the pause after the failures": errors.New("the safe is locked"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old, renewed := newCert(t, validFor(-time.Hour, 30*time.Minute)), newCert(t)
				p := &place{cert: old}
				source := p.source(t, certsource.WithRefreshInterval(20*time.Minute))
				get(t, source)
				time.Sleep(20 * time.Minute)
				if outage != nil {
					p.set(nil, outage)
				}
				for range 9*60 + 59 {
					assert.Same(t, old, get(t, source))
					time.Sleep(time.Second)
				}
				synctest.Wait()
				asked := p.count()
				p.set(renewed, nil)
				p.takes = time.Second
				time.Sleep(time.Second)
				assert.Same(t, old, get(t, source), "it is valid up to the last second, and so long is nobody asked")
				synctest.Wait()
				assert.Equal(t, asked, p.count())

				time.Sleep(time.Second)
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() { assert.Same(t, renewed, get(t, source), "it is waited for") })
				}
				wg.Wait()
				assert.Equal(t, asked+1, p.count())
				assert.NoError(t, source.Health())
			})
		})
	}
}

// An expired certificate that isn't renewed doesn't have the function called for each caller.
func TestThereIsAPauseWhenNothingWasRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(-time.Hour, time.Minute))}
		source := p.source(t)
		old := get(t, source)
		time.Sleep(time.Minute + time.Second)
		for range 60 {
			for range 10 {
				assert.Same(t, old, get(t, source))
			}
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1+9, p.count(), "after 1, 2, 4, 8 s, then each 10")
	})
}

// Nor is the expiry of the certificate waited for that helps out while the newest is refused.
func TestTheCertificateThatHelpsOutExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newCert(t, validFor(-time.Hour, 30*time.Minute))
		second := newCert(t, validFor(-time.Hour, 25*time.Minute))
		p := &place{cert: before}
		source := p.source(t)
		get(t, source)
		p.set(second, nil)
		time.Sleep(20 * time.Minute)
		get(t, source)
		synctest.Wait()
		require.NoError(t, source.Reload(t.Context(), second))
		p.set(nil, errors.New("the safe is locked"))
		for range 10 * 60 {
			assert.Same(t, before, get(t, source))
			time.Sleep(time.Second)
		}
		p.set(newCert(t), nil)
		time.Sleep(time.Second)
		assert.Same(t, p.cert, get(t, source))
	})
}

func TestReloadAsksAtOnceAndNotInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t)}
		source := p.source(t)
		first := get(t, source)
		require.NoError(t, source.Reload(t.Context(), first))
		assert.Equal(t, 1, p.count(), "it was asked just now")
		assert.Same(t, first, get(t, source), "there is no other")
		p.set(newCert(t), nil)
		time.Sleep(10 * time.Second)
		for range 5 {
			require.NoError(t, source.Reload(t.Context(), first))
		}
		assert.Equal(t, 2, p.count())
		assert.Same(t, p.cert, get(t, source))
		down := errors.New("the safe is locked")
		p.set(nil, down)
		time.Sleep(10 * time.Second)
		assert.ErrorIs(t, source.Reload(t.Context(), first), down)
	})
}

func TestTheCertificateBeforeHelpsOutWhenTheNewestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t)}
		source := p.source(t)
		first := get(t, source)
		p.set(newCert(t), nil)
		time.Sleep(15 * time.Minute)
		get(t, source)
		synctest.Wait()
		second := get(t, source)
		require.NotSame(t, first, second)
		require.NoError(t, source.Reload(t.Context(), second))
		assert.Same(t, first, get(t, source))
		assert.ErrorContains(t, source.Health(), "the token endpoint refused")
		time.Sleep(10 * time.Minute)
		assert.Same(t, second, get(t, source), "it is registered by now, or refused again")
		assert.NoError(t, source.Health())
	})
}

// A key alone is the same one if the key and its id are.
func TestTheKeyBeforeHelpsOutWhenTheNewestIsRefused(t *testing.T) {
	signer, other := newCert(t).Signer, newCert(t).Signer
	for _, test := range []struct {
		name   string
		signer crypto.Signer
		kid    string
		same   bool
	}{
		{"another key", other, "one", false},
		{"another id", signer, "two", false},
		{"the same", signer, "one", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := func(signer crypto.Signer, kid string) *certtoken.Certificate {
					cert, err := certtoken.NewKey(signer, kid)
					require.NoError(t, err)
					return cert
				}
				p := &place{cert: key(signer, "one")}
				source := p.source(t)
				first := get(t, source)
				p.set(key(test.signer, test.kid), nil)
				time.Sleep(15 * time.Minute)
				get(t, source)
				synctest.Wait()
				second := get(t, source)
				require.NoError(t, source.Reload(t.Context(), key(test.signer, test.kid)))
				if test.same {
					assert.Same(t, second, get(t, source), "there is no key before it")
				} else {
					assert.Same(t, first, get(t, source))
				}
			})
		})
	}
}

func TestAnExpiredCertificateBeforeDoesNotHelpOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(-time.Hour, time.Minute))}
		source := p.source(t, certsource.WithRefreshInterval(30*time.Second))
		get(t, source)
		p.set(newCert(t), nil)
		time.Sleep(30 * time.Second)
		get(t, source)
		synctest.Wait()
		time.Sleep(time.Minute)
		second := get(t, source)
		require.Same(t, p.cert, second)
		require.NoError(t, source.Reload(t.Context(), second))
		assert.Same(t, second, get(t, source))
		assert.NoError(t, source.Health())
	})
}

func TestWithoutRefreshTheFunctionIsCalledUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{err: errors.New("the safe is locked")}
		source := p.source(t, certsource.WithoutRefresh())
		_, err := source.Certificate(t.Context())
		require.Error(t, err)
		p.set(newCert(t), nil)
		time.Sleep(time.Second)
		cert := get(t, source)
		time.Sleep(24 * time.Hour)
		get(t, source)
		require.NoError(t, source.Reload(t.Context(), cert))
		synctest.Wait()
		assert.Equal(t, 2, p.count())
	})
}

// What is wrong with the only certificate there will be is what is wrong with it now.
func TestWithoutRefreshHealthFollowsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(time.Minute, time.Hour))}
		source := p.source(t, certsource.WithoutRefresh())
		require.Same(t, p.cert, get(t, source), "signing says what is wrong with it")
		check := func(is error) {
			t.Helper()
			assert.Same(t, p.cert, get(t, source))
			if is == nil {
				assert.NoError(t, source.Health())
				assert.NoError(t, source.Reload(t.Context(), p.cert))
				return
			}
			assert.ErrorIs(t, source.Health(), is)
			assert.ErrorIs(t, source.Reload(t.Context(), p.cert), is)
		}
		check(certtoken.ErrNotYetValid)
		time.Sleep(30 * time.Second)
		check(certtoken.ErrNotYetValid)
		time.Sleep(30 * time.Second)
		check(nil)
		time.Sleep(time.Hour)
		check(certtoken.ErrExpired)
		assert.Equal(t, 1, p.count())
	})
}

// Also where the function is called again, nothing outlasts the time that it is true for.
func TestHealthWithACertificateWhoseTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(time.Second, time.Hour))}
		source := p.source(t)
		get(t, source)
		assert.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
		time.Sleep(time.Second)
		assert.NoError(t, source.Health())
		assert.NoError(t, source.Reload(t.Context(), p.cert))
		assert.Equal(t, 1, p.count())
	})
}

// A function that finds the certificate expired itself says more than its old certificate.
func TestAnErrorThatTheCertificateIsExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &place{cert: newCert(t, validFor(-time.Hour, time.Minute))}
		source := p.source(t)
		get(t, source)
		p.set(nil, fmt.Errorf("the safe has %w ones only", certtoken.ErrExpired))
		time.Sleep(2 * time.Minute)
		_, err := source.Certificate(t.Context())
		require.ErrorIs(t, err, certtoken.ErrExpired)
		assert.ErrorContains(t, err, "the safe has")
	})
}

// The whole way: the endpoint knows the new certificate only, and the client recovers.
func TestAClientRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithTenants("contoso.com"))
		p := &place{cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
		server.Register("client-id", p.cert.Leaf)
		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", p.source(t),
			certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
		require.NoError(t, err)
		p.set(certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), nil)
		server.Replace("client-id", p.cert.Leaf)
		time.Sleep(time.Minute)
		_, err = client.Token(t.Context(), "https://vault.azure.net/.default")
		require.NoError(t, err)
		assert.Equal(t, 2, p.count())
	})
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := certsource.New("", nil, nil, certsource.WithRefreshInterval(0), certsource.WithTimeout(time.Hour))
	for _, mistake := range []string{"no name", "no function", "WithRefreshInterval", "WithTimeout"} {
		assert.ErrorContains(t, err, mistake)
	}
	p := &place{}
	for name, test := range map[string]struct {
		opt  certsource.Option
		good bool
	}{
		"a second":         {certsource.WithRefreshInterval(time.Second), true},
		"less":             {certsource.WithRefreshInterval(time.Second - 1), false},
		"a nanosecond":     {certsource.WithTimeout(1), true},
		"no time":          {certsource.WithTimeout(0), false},
		"negative":         {certsource.WithTimeout(-time.Second), false},
		"five minutes":     {certsource.WithTimeout(5 * time.Minute), true},
		"over five":        {certsource.WithTimeout(5*time.Minute + 1), false},
		"none, as a value": {nil, true},
	} {
		_, err := certsource.New("the safe", p.load, test.opt)
		assert.Equal(t, test.good, err == nil, "%s: %v", name, err)
	}
}

func TestPrinting(t *testing.T) {
	source := (&place{cert: newCert(t)}).source(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		assert.Equal(t, "certsource.Source(the safe)", fmt.Sprintf(verb, source))
	}
	assert.Equal(t, "certsource.Source(the safe)", source.LogValue().String())
}

func TestText(t *testing.T) {
	assert.Equal(t, `a\nb…`, certsource.Text("a\nb"+strings.Repeat("c", 9), 4))
	assert.Equal(t, "[removed]", certsource.Text(jwt, 100))
	assert.Equal(t, "…", certsource.Text("text", -1))
	assert.Equal(t, "not found", certsource.Text(" not found\r\n", 9), "as http.Error writes it")
}
