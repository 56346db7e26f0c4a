package interop

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

// pause is longer than the client remembers a refusal.
const pause = 1100 * time.Millisecond

// TestRotation renews the certificate on disk under a client that follows the
// file, in the wrong order and in the right one.
func TestRotation(t *testing.T) {
	for _, j := range judges(t) {
		if j.oneKey {
			continue
		}
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			old, renewed := newCertificate(t, "old"), newCertificate(t, "renewed")
			id := "rotation-" + rand.Text()
			register := func(certs ...*certtoken.Certificate) {
				r := registration{id: id, algorithm: j.best()}
				for _, c := range certs {
					r.keys = append(r.keys, keyOf(c))
				}
				j.register(t, r)
			}
			path := filepath.Join(t.TempDir(), "private.pem")
			write := func(c *certtoken.Certificate) {
				data, err := selfsigned.EncodePEM(c)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path+".new", data, 0o600))
				require.NoError(t, os.Rename(path+".new", path))
			}

			register(old)
			write(old)
			// With several keys registered, fosite finds the right one by kid only.
			following := func(file *certtoken.FileSource) *certtoken.Client {
				client, err := certtoken.NewClient(j.authority(j.best(), certtoken.WithKeyIDFunc(keyID)), id,
					file, certtoken.WithHTTPClient(j.http), patient)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, client.Close()) })
				return client
			}
			client := following(certtoken.CertFile(path, certtoken.WithoutRollback()))
			cached, err := client.Token(t.Context(), scope)
			require.NoError(t, err)
			anew := func(c *certtoken.Client) error {
				_, err := c.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
				return err
			}
			fresh := func() error { return anew(client) }
			goesBack := following(certtoken.CertFile(path))
			require.NoError(t, anew(goesBack))

			// On disk before it is registered: refused, and the error names it.
			write(renewed)
			err = fresh()
			var te *certtoken.TokenError
			require.ErrorAs(t, err, &te)
			if j.silent {
				require.Equal(t, http.StatusForbidden, te.StatusCode)
			} else {
				require.Contains(t, []string{"invalid_client", "invalid_request"}, te.Code)
			}
			require.Equal(t, thumbprint(renewed), te.Thumbprint)
			if te.Code == "invalid_client" {
				require.NoError(t, anew(goesBack), "the pair before, which the server knows, signs")
			}
			again, err := client.Token(t.Context(), scope)
			require.NoError(t, err, "callers keep the token that they have")
			require.Equal(t, cached.AccessToken(), again.AccessToken())

			// Registered beside the old one: both work.
			register(old, renewed)
			time.Sleep(pause)
			require.NoError(t, fresh())
			write(old)
			require.NoError(t, fresh())
			write(renewed)
			require.NoError(t, fresh())

			// The old one removed: only the renewed one works.
			register(renewed)
			require.NoError(t, fresh())
			write(old)
			require.ErrorAs(t, fresh(), &te)
			require.Equal(t, thumbprint(old), te.Thumbprint)
			write(renewed)
			time.Sleep(pause)
			require.NoError(t, fresh())
		})
	}
}

// TestLostAnswer loses the server's answer on the way. The server has seen the
// assertion's jti by then, so only an attempt that is signed anew gets through.
func TestLostAnswer(t *testing.T) {
	for _, j := range judges(t) {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			cert := newCertificate(t, "client")
			id := "lost-" + rand.Text()
			j.register(t, registration{id: id, algorithm: j.best(), keys: []key{keyOf(cert)}})
			lossy := &lossyTransport{next: j.http.Transport}
			lossy.left.Store(2)
			client, err := certtoken.NewClient(j.authority(j.best()), id, cert,
				certtoken.WithHTTPClient(&http.Client{Transport: lossy}), patient)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), scope)
			require.NoError(t, err)
			require.EqualValues(t, 3, lossy.requests.Load())
		})
	}
}

// lossyTransport lets requests through and drops some answers.
type lossyTransport struct {
	next     http.RoundTripper
	left     atomic.Int64
	requests atomic.Int64
}

func (l *lossyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	l.requests.Add(1)
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if l.left.Add(-1) >= 0 {
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, errors.New("the server refused what it should have granted")
		}
		return nil, syscall.ECONNRESET
	}
	return resp, nil
}

// TestRenewal calls for longer than tokens live: no caller waits again after
// the first token, and the server is asked once in a token's life. On a busy machine a
// server can take longer for an answer than a token of a few seconds has left when it is
// renewed; then tokens that live longer are asked for.
func TestRenewal(t *testing.T) {
	for _, j := range judges(t) {
		if j.oneLifetime {
			continue
		}
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			var seen *renewals
			for lifetime := 4 * time.Second; lifetime < 2*time.Minute; lifetime *= 3 {
				seen = watchRenewals(t, j, lifetime)
				// It is due at 83 % of its life at the latest, and callers have it until 95 %: of a
				// life that a server may have cut by a second.
				if seen.late < lifetime/15 && seen.stalled < lifetime/15 {
					break
				}
			}
			require.Zero(t, seen.failed.Load())
			require.EqualValues(t, 1, seen.misses.Load(), "only the first caller waits")
			// In 2.25 lives: at the start, and after each 68 % to 83 % of one.
			require.GreaterOrEqual(t, seen.requests.Load(), int64(3))
			require.LessOrEqual(t, seen.requests.Load(), int64(5))
		})
	}
}

// renewals are what a client's callers and hooks saw.
type renewals struct {
	misses, requests, failed atomic.Int64
	late                     time.Duration // the longest from when a token was due to when callers had the next
	stalled                  time.Duration // the longest that a caller was held up by the machine
}

// watchRenewals has callers ask for a token for a little longer than it lives twice.
func watchRenewals(t *testing.T, j *judge, lifetime time.Duration) (seen *renewals) {
	const callers, pauseOfCallers = 8, 20 * time.Millisecond
	cert := newCertificate(t, "client")
	id := "short-" + rand.Text()
	j.register(t, registration{id: id, algorithm: j.best(), lifetime: lifetime, keys: []key{keyOf(cert)}})
	seen = new(renewals)
	var mu sync.Mutex // guards late and stalled
	client, err := certtoken.NewClient(j.authority(j.best()), id, cert, certtoken.WithHTTPClient(j.http), patient,
		certtoken.WithHooks(certtoken.Hooks{
			Miss:       func(certtoken.Event) { seen.misses.Add(1) },
			RequestEnd: func(context.Context, certtoken.Event) { seen.requests.Add(1) },
		}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), scope)
	require.NoError(t, err)

	var wg sync.WaitGroup
	end := time.Now().Add(lifetime * 9 / 4)
	for range callers {
		wg.Go(func() {
			var before *certtoken.Token
			for last := time.Now(); last.Before(end); {
				token, err := client.Token(t.Context(), scope)
				if err != nil || !time.Now().Before(token.ExpiresAt()) {
					seen.failed.Add(1)
				}
				time.Sleep(pauseOfCallers)
				now := time.Now()
				mu.Lock()
				seen.stalled = max(seen.stalled, now.Sub(last)-pauseOfCallers)
				if before != nil && token != before {
					seen.late = max(seen.late, now.Sub(before.RenewAt()))
				}
				mu.Unlock()
				last, before = now, token
			}
		})
	}
	wg.Wait()
	return seen
}
