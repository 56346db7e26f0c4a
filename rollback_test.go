package certtoken_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// rollbackRig is a client of a server that isn't Entra ID, whose certificate is in a file.
type rollbackRig struct {
	server   *certtokentest.Server
	source   *certtoken.FileSource
	client   *certtoken.Client
	file     string
	a, b, c  *certtoken.Certificate
	mu       sync.Mutex
	refused  []certtoken.Event
	unusable []certtoken.Event
}

func newRollbackRig(
	t *testing.T, server *certtokentest.Server, lifetime time.Duration, opts ...certtoken.CertOption,
) *rollbackRig {
	r := &rollbackRig{server: server, file: filepath.Join(t.TempDir(), "cert.pem")}
	now := time.Now()
	for i, cert := range []**certtoken.Certificate{&r.a, &r.b, &r.c} {
		name := string(rune('a' + i))
		*cert = certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(name),
			certtokentest.WithValidity(now.Add(-time.Hour), now.Add(lifetime)))
	}
	r.source = certtoken.CertFile(r.file, opts...)
	var err error
	r.client, err = certtoken.NewClient(server.Authority(), appID, r.source, certtoken.WithHTTPClient(server.Client()),
		certtoken.WithHooks(certtoken.Hooks{
			CertificateRefused:  func(e certtoken.Event) { r.note(&r.refused, e) },
			CertificateUnusable: func(e certtoken.Event) { r.note(&r.unusable, e) },
		}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.client.Close()) })
	return r
}

func (r *rollbackRig) note(list *[]certtoken.Event, e certtoken.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, e)
}

func (r *rollbackRig) install(t *testing.T, cert *certtoken.Certificate) {
	t.Helper()
	writeFile(t, r.file, bundle(t, cert))
}

func (r *rollbackRig) ask(t *testing.T) error {
	t.Helper()
	r.server.Reset()
	_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
	time.Sleep(2 * time.Second) // a refusal is remembered for one
	return err
}

// signedBy is the subject of the certificate that a token was granted for.
func (r *rollbackRig) signedBy(t *testing.T) string {
	t.Helper()
	require.NoError(t, r.ask(t))
	return r.server.LastRequest().Certificate.Subject.CommonName
}

func TestRollback(t *testing.T) {
	for name, options := range map[string][]certtokentest.Option{
		"Entra ID":  {certtokentest.WithOpaqueTokens()},
		"elsewhere": {certtokentest.WithOpaqueTokens(), certtokentest.WithIssuer("https://as.example")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRollbackRig(t, certtokentest.New(options...), 90*24*time.Hour)
				r.server.Register(appID, r.a.Leaf)
				r.install(t, r.a)
				require.Equal(t, "a", r.signedBy(t))

				r.install(t, r.b)
				require.Equal(t, "a", r.signedBy(t), "the new one is refused, the one before isn't")
				assert.Equal(t, 2, r.server.Count())
				require.Len(t, r.refused, 1)
				assert.Equal(t, thumbprint(r.b), r.refused[0].Thumbprint)
				require.Len(t, r.unusable, 1)
				assert.Equal(t, thumbprint(r.a), r.unusable[0].Thumbprint, "the one that signs")
				for _, part := range []string{r.file, thumbprint(r.a), thumbprint(r.b), "refused", "at the latest"} {
					assert.ErrorContains(t, r.unusable[0].Err, part)
					assert.ErrorContains(t, r.source.Health(), part)
				}

				for range 3 {
					require.Equal(t, "a", r.signedBy(t))
					assert.Equal(t, 1, r.server.Count(), "the new one stands back")
				}
				assert.Len(t, r.unusable, 1, "told once")
				time.Sleep(10 * time.Minute)
				require.Equal(t, "a", r.signedBy(t))
				assert.Equal(t, 2, r.server.Count(), "the new one is tried now and then")

				r.server.Register(appID, r.b.Leaf)
				time.Sleep(10 * time.Minute)
				require.Equal(t, "b", r.signedBy(t))
				assert.NoError(t, r.source.Health())
			})
		})
	}
}

// When the pair before doesn't sign again.
func TestRollbackHasItsLimits(t *testing.T) {
	for name, c := range map[string]struct {
		lifetime time.Duration
		opts     []certtoken.CertOption
		meets    func(t *testing.T, r *rollbackRig)
		works    bool
	}{
		"within a day": {works: true, meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			time.Sleep(23*time.Hour + 50*time.Minute)
		}},
		"after a day": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			time.Sleep(24 * time.Hour)
		}},
		"a day after it was last seen": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			time.Sleep(24 * time.Hour) // it may have been replaced right away
			r.install(t, r.b)
		}},
		"after a day that the machine slept through": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			certtoken.ShiftWallOfSource(r.source, 24*time.Hour)
		}},
		"after a day in which the clock was set back": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			certtoken.ShiftWallOfSource(r.source, -time.Hour)
			time.Sleep(24 * time.Hour)
		}},
		"replaced while the machine slept": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			certtoken.ShiftWallOfSource(r.source, 24*time.Hour)
			r.install(t, r.b)
		}},
		"turned off": {opts: []certtoken.CertOption{certtoken.WithoutRollback()},
			meets: func(t *testing.T, r *rollbackRig) {
				require.NoError(t, r.ask(t))
				r.install(t, r.b)
			}},
		"it was granted no token": {meets: func(t *testing.T, r *rollbackRig) {
			_, err := r.source.Certificate(t.Context())
			require.NoError(t, err)
			r.install(t, r.b)
		}},
		"it ended": {lifetime: 2 * time.Hour, meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
				certtokentest.WithSubject("longer")))
			require.NoError(t, r.ask(t))
			time.Sleep(2 * time.Hour)
		}},
		"it is refused too": {meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			r.server.Unregister(appID, r.a.Leaf)
		}},
		"the file was replaced twice": {works: true, meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			r.install(t, r.c)
		}},
		"it was put back": {works: true, meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			r.install(t, r.a)
			require.NoError(t, r.ask(t))
			require.NoError(t, r.source.Health())
			r.install(t, r.b)
		}},
		"it was put back for a day": {works: true, meets: func(t *testing.T, r *rollbackRig) {
			require.NoError(t, r.ask(t))
			r.install(t, r.b)
			require.NoError(t, r.ask(t))
			r.install(t, r.a)
			require.NoError(t, r.source.Health())
			time.Sleep(23*time.Hour + 50*time.Minute)
			require.NoError(t, r.source.Health()) // it is still there
			r.install(t, r.b)
			time.Sleep(time.Hour)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				if c.lifetime == 0 {
					c.lifetime = 90 * 24 * time.Hour
				}
				server := certtokentest.New(
					certtokentest.WithOpaqueTokens(),
					certtokentest.WithIssuer("https://as.example"),
				)
				r := newRollbackRig(t, server, c.lifetime, c.opts...)
				r.server.Register(appID, r.a.Leaf)
				r.install(t, r.a)
				c.meets(t, r)
				err := r.ask(t)
				if c.works {
					require.NoError(t, err)
					assert.Equal(t, "a", r.server.LastRequest().Certificate.Subject.CommonName)
					return
				}
				var refused *certtoken.TokenError
				require.ErrorAs(t, err, &refused)
				assert.NotEqual(t, thumbprint(r.a), refused.Thumbprint, "the new one was tried last")
				require.NoError(t, r.source.Health(), "the file is as good as any")
			})
		})
	}
}

// A token that is granted for the new pair after all, as while its registration
// spreads, ends the going back.
func TestRollbackEndsWithAToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.NoError(t, r.ask(t))
		r.install(t, r.b)
		require.NoError(t, r.ask(t))
		require.Error(t, r.source.Health())
		r.source.Granted(r.b)
		require.NoError(t, r.source.Health())
		cert, err := r.source.Certificate(t.Context())
		require.NoError(t, err)
		assert.Equal(t, r.b.Leaf.Raw, cert.Leaf.Raw)
		r.source.Granted(nil)
		require.NoError(t, r.source.Reload(t.Context(), nil))
	})
}

// otherClient is a client of another app that shares the rig's source.
func (r *rollbackRig) otherClient(t *testing.T) *certtoken.Client {
	t.Helper()
	r.server.Register(otherApp, r.c.Leaf)
	client, err := certtoken.NewClient(r.server.Authority(), otherApp, r.source,
		certtoken.WithHTTPClient(r.server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

const otherApp = "22222222-2222-2222-2222-222222222222"

// A pair that was granted a token works. When another client of the same source is refused
// for it later, because its app doesn't know the pair, the pair stays in use.
func TestRollbackLeavesAPairThatWorks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		other := r.otherClient(t)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.Equal(t, "a", r.signedBy(t))
		r.server.Register(appID, r.b.Leaf)
		r.install(t, r.b)
		require.Equal(t, "b", r.signedBy(t))

		_, err := other.Token(t.Context(), graph)
		var refused *certtoken.TokenError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, thumbprint(r.b), refused.Thumbprint, "there is nothing else to sign with")
		require.NoError(t, r.source.Health())
		require.NoError(t, r.source.Reload(t.Context(), r.b))
		require.NoError(t, r.source.Health())
		require.Equal(t, "b", r.signedBy(t))
		assert.Equal(t, 1, r.server.Count())
		assert.Empty(t, r.unusable)
	})
}

// While one client signs with the pair before, another that is refused for both doesn't
// take it away.
func TestRollbackIsForAllClientsOfTheSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		other := r.otherClient(t)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.Equal(t, "a", r.signedBy(t))
		r.install(t, r.b)
		require.Equal(t, "a", r.signedBy(t))
		for range 3 {
			_, err := other.Token(t.Context(), graph)
			require.ErrorContains(t, err, "700027")
			require.Equal(t, "a", r.signedBy(t))
		}
		r.server.Register(otherApp, r.b.Leaf)
		_, err := other.Token(t.Context(), graph)
		require.NoError(t, err)
		assert.NoError(t, r.source.Health())
	})
}

// A wrong clock is no reason to give up a certificate.
func TestRollbackIsNotForTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.Equal(t, "a", r.signedBy(t))
		r.server.Register(appID, r.b.Leaf)
		r.install(t, r.b)
		r.server.Reset()
		r.server.Fail(certtokentest.Fault{Code: 700024})
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
		require.ErrorContains(t, err, "700024")
		assert.Equal(t, 1, r.server.Count())
		assert.Empty(t, r.refused)
		require.NoError(t, r.source.Health())
		time.Sleep(2 * time.Second)
		require.Equal(t, "b", r.signedBy(t))
	})
}

// What Health says of the end is true also where the certificate ends first.
func TestRollbackTellsItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 2*time.Hour)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.NoError(t, r.ask(t))
		r.install(t, r.b)
		require.NoError(t, r.ask(t))
		assert.ErrorContains(
			t,
			r.source.Health(),
			"until "+r.a.Leaf.NotAfter.UTC().Format(time.RFC3339)+" at the latest",
		)
	})
}

// A broken file after a refused one: the last good pair is the refused one, and the
// one before it goes on.
func TestRollbackWithABrokenFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		require.NoError(t, r.ask(t))
		r.install(t, r.b)
		require.NoError(t, r.ask(t))
		require.NoError(t, os.WriteFile(r.file, []byte("garbage"), 0o600))
		require.Equal(t, "a", r.signedBy(t))
		require.ErrorIs(t, r.source.Health(), certtoken.ErrFormat)
	})
}

// NewestValid passes on what was granted, so that its files go back too.
func TestRollbackWithinNewestValid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRollbackRig(t, certtokentest.New(certtokentest.WithOpaqueTokens()), 90*24*time.Hour)
		r.server.Register(appID, r.a.Leaf)
		r.install(t, r.a)
		client, err := certtoken.NewClient(r.server.Authority(), appID, certtoken.NewestValid(r.source),
			certtoken.WithHTTPClient(r.server.Client()))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), graph)
		require.NoError(t, err)
		r.install(t, r.b)
		_, err = client.Token(t.Context(), vault)
		require.NoError(t, err)
		assert.Equal(t, "a", r.server.LastRequest().Certificate.Subject.CommonName)
	})
}
