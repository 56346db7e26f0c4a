package certtoken_test

import (
	"context"
	"crypto"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// hanger is a part of the program that hangs once, ignoring its context.
type hanger struct {
	armed   atomic.Bool
	release chan struct{}
}

func newHanger() *hanger { return &hanger{release: make(chan struct{})} }

// call is a call of the part.
func (h *hanger) call() {
	if h.armed.CompareAndSwap(true, false) {
		<-h.release
	}
}

// hangingSigner hangs before it signs.
type hangingSigner struct {
	crypto.Signer
	*hanger
}

func (s hangingSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.call()
	return s.Signer.Sign(rand, digest, opts)
}

// hangingBody hangs when it is read.
type hangingBody struct {
	io.ReadCloser
	*hanger
}

func (b hangingBody) Read(p []byte) (int, error) {
	b.call()
	return b.ReadCloser.Read(p)
}

// hangingStore hangs in one of its methods, and counts the locks that are held.
type hangingStore struct {
	certtoken.Locker
	get, set, lock *hanger
	held           atomic.Int64
}

func (s *hangingStore) Get(ctx context.Context, key string) ([]byte, error) {
	s.get.call()
	return s.Locker.Get(ctx, key)
}

func (s *hangingStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.set.call()
	return s.Locker.Set(ctx, key, value, ttl)
}

func (s *hangingStore) TryLock(
	ctx context.Context, key string, ttl time.Duration,
) (func(context.Context) error, error) {
	s.lock.call()
	unlock, err := s.Locker.TryLock(context.WithoutCancel(ctx), key, ttl)
	if unlock == nil {
		return nil, err
	}
	s.held.Add(1)
	return func(ctx context.Context) error {
		s.held.Add(-1)
		return unlock(ctx)
	}, err
}

// hangingRig is a client of which every part of the program can hang, each by a
// hanger of its own, and what its hooks were told.
type hangingRig struct {
	*rig
	diary diary
	store *hangingStore

	source, signer, transport, body, start, end, loaded *hanger
	get, set, lock                                      *hanger
}

func newHangingRig(t *testing.T) *hangingRig {
	t.Helper()
	r := &hangingRig{
		source: newHanger(), signer: newHanger(), transport: newHanger(), body: newHanger(),
		start: newHanger(), end: newHanger(), loaded: newHanger(), get: newHanger(), set: newHanger(),
		lock: newHanger(),
	}
	server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour))
	plain := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	cert, err := certtoken.NewCertificate(hangingSigner{plain.Signer, r.signer}, plain.Leaf, nil)
	require.NoError(t, err)
	server.Register(appID, cert.Leaf)
	source := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		r.source.call()
		return cert, nil
	})
	hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		r.transport.call()
		resp, err := server.Transport().RoundTrip(req)
		if err == nil {
			resp.Body = hangingBody{resp.Body, r.body}
		}
		return resp, err
	})}
	r.store = &hangingStore{Locker: certtoken.NewMemoryStore().(certtoken.Locker), get: r.get, set: r.set, lock: r.lock}
	r.rig = newRigOf(t, server, source, certtoken.WithHTTPClient(hc), certtoken.WithStore(r.store, storeSecret),
		certtoken.WithHooks(r.diary.hooks()), certtoken.WithHooks(certtoken.Hooks{
			// A context from elsewhere hides nothing of who hangs.
			RequestStart: func(context.Context, certtoken.Event) context.Context {
				r.start.call()
				return context.Background()
			},
			RequestEnd: func(context.Context, certtoken.Event) { r.end.call() },
			// The certificate is announced when it is first used.
			CertificateLoaded: func(certtoken.Event) { r.loaded.call() },
		}))
	return r
}

// Every part of the program that hangs once and ignores its context: who waits hears
// which part it is, the next caller gets a token, and what comes late changes nothing.
func TestHangsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		which func(*hangingRig) *hanger
		part  string
	}{
		"certificate source":     {func(r *hangingRig) *hanger { return r.source }, "the certificate source"},
		"signer":                 {func(r *hangingRig) *hanger { return r.signer }, "the signer"},
		"RoundTripper":           {func(r *hangingRig) *hanger { return r.transport }, "the HTTP transport"},
		"body":                   {func(r *hangingRig) *hanger { return r.body }, "the HTTP transport"},
		"hook RequestStart":      {func(r *hangingRig) *hanger { return r.start }, "a hook"},
		"hook RequestEnd":        {func(r *hangingRig) *hanger { return r.end }, "a hook"},
		"hook CertificateLoaded": {func(r *hangingRig) *hanger { return r.loaded }, "a hook"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newHangingRig(t)
				h := c.which(r)
				h.armed.Store(true)
				start := time.Now()
				_, errs := crowd(context.Background(), r.client, 20, graph)
				assert.Equal(t, 35*time.Second, time.Since(start))
				for _, err := range errs {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.EqualError(t, err, "certtoken: "+c.part+" did not return within 35s, "+
						"though its context had ended: no token within 30s: context deadline exceeded")
				}
				synctest.Wait()
				told := r.diary.of("RequestAbandoned")
				require.Len(t, told, 1)
				assert.Equal(t, c.part, told[0].Part)
				assert.Equal(t, 1, told[0].Abandoned)
				assert.Equal(t, []string{graph}, told[0].Scopes)
				assert.Equal(t, errs[0].Error(), told[0].Err.Error())

				second := r.token(t, graph) // the recovery
				assert.Equal(t, 35*time.Second, time.Since(start), "the next caller waits for nothing")
				close(h.release)
				synctest.Wait()
				assert.Same(t, second, r.hit(t, graph))
				told = r.diary.of("RequestReturned")
				require.Len(t, told, 1)
				assert.Equal(t, c.part, told[0].Part)
				assert.Zero(t, told[0].Abandoned)
			})
		})
		if name == "hook CertificateLoaded" { // a renewal with the same certificate tells nothing
			continue
		}
		t.Run(name+", while there is a valid token", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newHangingRig(t)
				first := r.token(t, graph)
				h := c.which(r)
				h.armed.Store(true)
				time.Sleep(50 * time.Minute)
				for range 60 {
					require.Same(t, first, r.hit(t, graph))
					time.Sleep(time.Second)
				}
				require.Len(t, r.diary.of("RenewalFailed"), 1)
				require.Len(t, r.diary.of("RequestAbandoned"), 1)
				time.Sleep(30 * time.Second)
				r.hit(t, graph)
				synctest.Wait()
				second := r.hit(t, graph)
				assert.NotSame(t, first, second, "the recovery: the next renewal")
				close(h.release)
				synctest.Wait()
				assert.Same(t, second, r.hit(t, graph))
			})
		})
	}
}

// A store that hangs costs its callers a second, and after that nothing.
func TestAStoreHangsOnce(t *testing.T) {
	for name, which := range map[string]func(*hangingRig) *hanger{
		"Get":     func(r *hangingRig) *hanger { return r.get },
		"Set":     func(r *hangingRig) *hanger { return r.set },
		"TryLock": func(r *hangingRig) *hanger { return r.lock },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newHangingRig(t)
				h := which(r)
				h.armed.Store(true)
				start := time.Now()
				r.token(t, graph)
				assert.LessOrEqual(t, time.Since(start), time.Second)
				time.Sleep(5 * time.Second)
				r.token(t, vault)
				synctest.Wait()
				assert.Len(t, r.diary.of("StoreFailed"), 1)
				assert.Empty(t, r.diary.of("RequestAbandoned"))
				close(h.release)
				synctest.Wait()
				assert.Zero(t, r.store.held.Load(), "a lock that was taken late is given back at once")
			})
		})
	}
}

// An assertion from elsewhere is asked for before a request has its turn.
func TestAnAssertionSourceHangsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithOpaqueTokens())
		h := newHanger()
		h.armed.Store(true)
		source := certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
			h.call()
			return "", io.ErrUnexpectedEOF
		})
		client, err := certtoken.NewFederatedClient(server.Authority(), appID, source,
			certtoken.WithHTTPClient(server.Client()), certtoken.WithMaxConcurrentExchanges(1))
		require.NoError(t, err)
		hung := make(chan error)
		go func() {
			_, err := client.Token(context.Background(), graph)
			hung <- err
		}()
		synctest.Wait()
		start := time.Now()
		_, err = client.Token(t.Context(), vault)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "another key's request")
		assert.Zero(t, time.Since(start), "waited for one that hangs")
		require.ErrorContains(t, <-hung, "certtoken: the assertion source did not return within 35s")
		_, err = client.Token(t.Context(), graph)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the recovery: it is asked again")
		close(h.release)
		synctest.Wait()
		require.NoError(t, client.Close())
	})
}

// Close waits for 10 s, and says which part of the program it waited for.
func TestCloseNamesWhatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newHangingRig(t)
		r.signer.armed.Store(true)
		_, err := r.client.Token(context.Background(), graph)
		require.Error(t, err)
		start := time.Now()
		require.EqualError(t, r.client.Close(), "certtoken: closed, but the signer did not return within 10s")
		assert.Equal(t, 10*time.Second, time.Since(start))
		close(r.signer.release)
	})
}

func TestCheckLeavesWhatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newHangingRig(t)
		r.source.armed.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err := r.client.Check(ctx, graph)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "certtoken: gave up waiting for the certificate source")
		assert.Equal(t, 5*time.Second, time.Since(start))
		require.NoError(t, r.client.Check(t.Context(), graph), "the recovery: it is asked again")
		close(r.source.release)
	})
}

// A token that comes late isn't stored: it may be older than the one that is.
func TestALateTokenChangesNoStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newHangingRig(t)
		r.end.armed.Store(true) // with the token at hand
		_, err := r.client.Token(context.Background(), graph)
		require.Error(t, err)
		r.set.armed.Store(true) // a Set would hang, and be told as a failure
		close(r.end.release)
		synctest.Wait()
		require.Len(t, r.diary.of("RequestReturned"), 1)
		time.Sleep(2 * time.Second)
		assert.Empty(t, r.diary.of("StoreFailed"))
		close(r.set.release)
	})
}

// A hook, a source or a signer that asks for the very token that it is called for.
func TestWhoAsksTheOwnClient(t *testing.T) {
	ask := func(ctx context.Context, client *certtoken.Client, errs *sync.Map) {
		_, err := client.Token(ctx, graph)
		errs.Store("asked", err)
	}
	t.Run("with its context: an error at once", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var client *certtoken.Client
			var errs sync.Map
			r := newRig(
				t,
				certtoken.WithStore(certtoken.NewMemoryStore(), storeSecret),
				certtoken.WithHooks(certtoken.Hooks{
					RequestEnd: func(ctx context.Context, _ certtoken.Event) { ask(ctx, client, &errs) },
				}),
			)
			client = r.client
			start := time.Now()
			r.token(t, graph)
			assert.Zero(t, time.Since(start))
			asked, _ := errs.Load("asked")
			assert.EqualError(t, asked.(error), "certtoken: a hook asks for the token that it is called for")
		})
	})
	t.Run("without one: it is given up", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var client *certtoken.Client
			var errs sync.Map
			r := newRig(t, certtoken.WithHooks(certtoken.Hooks{
				CertificateLoaded: func(certtoken.Event) { ask(context.Background(), client, &errs) },
			}))
			client = r.client
			_, err := r.client.Token(context.Background(), graph)
			require.ErrorContains(t, err, "a hook did not return")
			synctest.Wait()
			asked, _ := errs.Load("asked")
			assert.EqualError(t, asked.(error), err.Error(), "the hook hears the same")
			r.token(t, graph)
		})
	})
}

// A hook that panics while the fleet's lock is held doesn't take the lock with it.
func TestAPanickingHookReleasesTheLock(t *testing.T) {
	boom := func(certtoken.Event) { panic("boom") }
	for name, hooks := range map[string]certtoken.Hooks{
		"RequestStart":      {RequestStart: func(context.Context, certtoken.Event) context.Context { panic("boom") }},
		"RequestEnd":        {RequestEnd: func(context.Context, certtoken.Event) { panic("boom") }},
		"CertificateLoaded": {CertificateLoaded: boom},
		"StoreFailed":       {StoreFailed: boom},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, cert := fleet(t)
				memory := certtoken.NewMemoryStore()
				// An entry that can't be read is told of when the lock is held.
				store := &garbledAfterLock{Locker: memory.(certtoken.Locker), garbled: name == "StoreFailed"}
				bad := process(t, srv, cert, store, certtoken.WithHooks(hooks))
				_, err := bad.Token(t.Context(), scope)
				require.ErrorContains(t, err, "a hook panicked")
				synctest.Wait()
				start := time.Now()
				_, err = process(t, srv, cert, memory).Token(t.Context(), scope)
				require.NoError(t, err)
				assert.Zero(t, time.Since(start), "the lock is held")
			})
		})
	}
}

// garbledAfterLock has an entry that can't be opened, once a lock was taken.
type garbledAfterLock struct {
	certtoken.Locker
	garbled bool
	locked  atomic.Bool
}

func (s *garbledAfterLock) TryLock(
	ctx context.Context, key string, ttl time.Duration,
) (func(context.Context) error, error) {
	unlock, err := s.Locker.TryLock(ctx, key, ttl)
	s.locked.Store(true)
	return unlock, err
}

func (s *garbledAfterLock) Get(ctx context.Context, key string) ([]byte, error) {
	if s.garbled && s.locked.Load() {
		return []byte("garbled"), nil
	}
	return s.Locker.Get(ctx, key)
}

// reloadingSource counts how often it is told of a refusal.
type reloadingSource struct {
	cert    *certtoken.Certificate
	reloads atomic.Int64
}

func (s *reloadingSource) Certificate(context.Context) (*certtoken.Certificate, error) {
	return s.cert, nil
}

func (s *reloadingSource) Reload(context.Context, *certtoken.Certificate) error {
	s.reloads.Add(1)
	return nil
}

// A refusal that comes late is none of a request's that was given up: the certificate
// may have been replaced meanwhile.
func TestALateRefusalReloadsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHanger()
		server := certtokentest.New(certtokentest.WithOpaqueTokens())
		source := &reloadingSource{cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
		r := newRigOf(t, server, source, certtoken.WithHooks(certtoken.Hooks{
			RequestEnd: func(context.Context, certtoken.Event) { h.call() },
		}))
		server.FailAlways(certtokentest.Fault{Code: 700027})
		_, err := r.client.Token(t.Context(), graph)
		require.ErrorContains(t, err, "AADSTS700027")
		require.EqualValues(t, 1, source.reloads.Load(), "one that comes in time does")
		time.Sleep(time.Minute)
		h.armed.Store(true)
		_, err = r.client.Token(context.Background(), graph)
		require.ErrorContains(t, err, "a hook did not return")
		close(h.release)
		synctest.Wait()
		assert.EqualValues(t, 1, source.reloads.Load())
	})
}

// A signer that comes back after its time, but before the request is given up: the
// assertion isn't sent any more.
func TestASignerThatComesBackLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sent atomic.Int64
		h := newHanger()
		h.armed.Store(true)
		plain := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		cert, err := certtoken.NewCertificate(hangingSigner{plain.Signer, h}, plain.Leaf, nil)
		require.NoError(t, err)
		r := newRigOf(t, nil, cert, certtoken.WithHTTPClient(&http.Client{
			Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
				sent.Add(1)
				return nil, io.ErrUnexpectedEOF
			}),
		}))
		time.AfterFunc(32*time.Second, func() { close(h.release) })
		start := time.Now()
		_, err = r.client.Token(context.Background(), graph)
		require.EqualError(t, err, "certtoken: no token within 30s: context deadline exceeded")
		assert.Equal(t, 32*time.Second, time.Since(start))
		assert.Zero(t, sent.Load())
	})
}

// Checks that were left alone count as what hangs too.
func TestSoManyChecksMayHang(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		r := newRigOf(t, nil, certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
			<-release
			return cert, nil
		}))
		check := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return r.client.Check(ctx, graph)
		}
		for range 64 {
			require.ErrorContains(t, check(), "gave up waiting for the certificate source")
		}
		start := time.Now()
		require.EqualError(t, check(), "certtoken: 64 calls still hang in the certificate source, so no other is made")
		_, err := r.client.Token(t.Context(), graph)
		require.ErrorContains(t, err, "certtoken: 64 requests of this client still hang in the certificate source")
		assert.Zero(t, time.Since(start))
		close(release)
	})
}
