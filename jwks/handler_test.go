package jwks_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/selfsigned"
)

// get asks a handler.
func get(h http.Handler, header ...string) *http.Response { return do(h, http.MethodGet, header...) }

func do(h http.Handler, method string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/jwks.json", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	_, err := b.ReadFrom(resp.Body)
	require.NoError(t, err)
	return b.String()
}

func ecKey(t *testing.T) *certtoken.Certificate {
	t.Helper()
	return newCert(t, selfsigned.Options{Key: selfsigned.EC})
}

// Some servers refuse the set under its own media type, so it has that name only for those
// who ask for it.
func TestHandlerMediaType(t *testing.T) {
	h := jwks.Handler(ecKey(t))
	for accept, want := range map[string]string{
		"":                         "application/json",
		"*/*":                      "application/json",
		"application/json":         "application/json",
		"application/jwk-set+json": "application/jwk-set+json",
		"application/json, Application/JWK-Set+JSON;q=0.9": "application/jwk-set+json",
	} {
		req := httptest.NewRequest(http.MethodGet, "https://client.example/keys", nil)
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		assert.Equal(t, want, w.Result().Header.Get("Content-Type"), accept)
	}
}

func TestHandlerServesTheSet(t *testing.T) {
	one, two := ecKey(t), ecKey(t)
	h := jwks.Handler(one, two)
	resp := get(h)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	assert.Equal(t, "Accept", resp.Header.Get("Vary"))
	assert.Equal(t, "public, max-age=300", resp.Header.Get("Cache-Control"))
	assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	want, err := jwks.Marshal(one, two)
	require.NoError(t, err)
	assert.Equal(t, string(want), body(t, resp))

	etag := resp.Header.Get("ETag")
	assert.Regexp(t, `^"[0-9a-f]{32}"$`, etag)
	head := do(h, http.MethodHead)
	assert.Equal(t, http.StatusOK, head.StatusCode)
	assert.Equal(t, etag, head.Header.Get("ETag"))
	assert.EqualValues(t, len(want), head.ContentLength)
	assert.Empty(t, body(t, head))

	same := get(h, "If-None-Match", etag)
	assert.Equal(t, http.StatusNotModified, same.StatusCode)
	assert.Equal(t, etag, same.Header.Get("ETag"))
	assert.NotEmpty(t, same.Header.Get("Cache-Control"))
	assert.Empty(t, body(t, same))
	assert.Equal(t, http.StatusOK, get(h, "If-None-Match", `"other"`).StatusCode)
}

func TestHandlerTakesGETAndHEADOnly(t *testing.T) {
	h := jwks.Handler(ecKey(t))
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		resp := do(h, method)
		assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, method)
		assert.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))
		assert.NotContains(t, body(t, resp), "keys")
	}
}

func TestMaxAge(t *testing.T) {
	source := func(context.Context) ([]*certtoken.Certificate, error) {
		return []*certtoken.Certificate{ecKey(t)}, nil
	}
	for age, want := range map[time.Duration]string{
		0: "public, max-age=300", time.Hour: "public, max-age=3600", 1500 * time.Millisecond: "public, max-age=1",
		-1: "no-cache",
	} {
		resp := get(jwks.Options{MaxAge: age}.Handler(source))
		assert.Equal(t, want, resp.Header.Get("Cache-Control"))
	}
}

// changing is a source that a test changes.
type changing struct {
	calls atomic.Int32
	mu    sync.Mutex
	f     jwks.Source
}

func (c *changing) set(f jwks.Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.f = f
}

func (c *changing) ask(ctx context.Context) ([]*certtoken.Certificate, error) {
	c.calls.Add(1)
	c.mu.Lock()
	f := c.f
	c.mu.Unlock()
	return f(ctx)
}

func has(certs ...*certtoken.Certificate) jwks.Source {
	return func(context.Context) ([]*certtoken.Certificate, error) { return certs, nil }
}

// A source that changes is followed within a second, and asked no more often.
func TestHandlerFollowsTheSource(t *testing.T) {
	one, two := ecKey(t), ecKey(t)
	synctest.Test(t, func(t *testing.T) {
		source := &changing{f: has(one)}
		h := jwks.Options{}.Handler(source.ask)
		first := get(h).Header.Get("ETag")
		source.set(has(two))
		for range 20 {
			assert.Equal(t, first, get(h).Header.Get("ETag"))
		}
		assert.EqualValues(t, 1, source.calls.Load())
		time.Sleep(time.Second)
		second := get(h)
		assert.NotEqual(t, first, second.Header.Get("ETag"))
		assert.Contains(t, body(t, second), jwks.KeyID(two))
		assert.EqualValues(t, 2, source.calls.Load())
	})
}

// Many requests at once ask the source once.
func TestHandlerAsksOnceForMany(t *testing.T) {
	cert := ecKey(t)
	synctest.Test(t, func(t *testing.T) {
		source := &changing{f: func(context.Context) ([]*certtoken.Certificate, error) {
			time.Sleep(time.Second / 2)
			return []*certtoken.Certificate{cert}, nil
		}}
		h := jwks.Options{}.Handler(source.ask)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { assert.Equal(t, http.StatusOK, get(h).StatusCode) })
		}
		all.Wait()
		assert.EqualValues(t, 1, source.calls.Load())
	})
}

// failures are ways in which a source fails, with a secret in what it says.
func failures() map[string]jwks.Source {
	const secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyaHVudGVyMiJ9.aHVudGVyMmh1bnRlcjJodW50ZXIy"
	return map[string]jwks.Source{
		"error": func(context.Context) ([]*certtoken.Certificate, error) { return nil, errors.New("token " + secret) },
		"panic": func(context.Context) ([]*certtoken.Certificate, error) { panic("any secret") },
		"end": func(context.Context) ([]*certtoken.Certificate, error) {
			runtime.Goexit()
			return nil, nil
		},
		"nothing":   has(),
		"nil":       has(nil),
		"no source": nil,
	}
}

// Without a set the answer is 500, and its reason is in the log only.
func TestFailingSource(t *testing.T) {
	for name, source := range failures() {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := jwks.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}.Handler(source)
			for range 3 {
				resp := get(h)
				assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
				assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
				assert.Empty(t, resp.Header.Get("ETag"))
				assert.Equal(t, "the keys can't be read now\n", body(t, resp))
			}
			assert.Equal(t, 1, strings.Count(log.String(), "\n"), "%s", &log)
			assert.Contains(t, log.String(), "old_set_is_served=false")
			assert.NotContains(t, log.String(), "aHVudGVyMmh1")
			assert.NotContains(t, log.String(), "any secret")
		})
	}
}

// With a set the last good one is served until the source works again.
func TestLastGoodSetIsServed(t *testing.T) {
	one, two := ecKey(t), ecKey(t)
	for name, failing := range failures() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				source := &changing{f: has(one)}
				h := jwks.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}.Handler(source.ask)
				first := get(h).Header.Get("ETag")
				source.set(failing)
				for range 3 {
					time.Sleep(time.Second)
					resp := get(h)
					assert.Equal(t, http.StatusOK, resp.StatusCode)
					assert.Equal(t, first, resp.Header.Get("ETag"))
				}
				assert.EqualValues(t, 4, source.calls.Load())
				source.set(has(two))
				time.Sleep(time.Second)
				assert.Contains(t, body(t, get(h)), jwks.KeyID(two))
				assert.Equal(t, 2, strings.Count(log.String(), "\n"), "%s", &log)
				assert.Contains(t, log.String(), "old_set_is_served=true")
				assert.Contains(t, log.String(), "works again")
			})
		})
	}
}

// A source that hangs delays nobody for long, and isn't asked a second time.
func TestHangingSource(t *testing.T) {
	one, two := ecKey(t), ecKey(t)
	synctest.Test(t, func(t *testing.T) {
		source := &changing{f: has(one)}
		h := jwks.Options{Log: slog.New(slog.DiscardHandler)}.Handler(source.ask)
		get(h)
		time.Sleep(time.Second)
		release := make(chan struct{})
		source.set(func(context.Context) ([]*certtoken.Certificate, error) {
			<-release
			return []*certtoken.Certificate{two}, nil
		})
		began := time.Now()
		for range 5 {
			assert.Contains(t, body(t, get(h)), jwks.KeyID(one))
		}
		assert.Equal(t, time.Second, time.Since(began))
		assert.EqualValues(t, 2, source.calls.Load())
		close(release)
		synctest.Wait()
		assert.Contains(t, body(t, get(h)), jwks.KeyID(two))
	})
}

func TestHangingSourceWithoutASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := jwks.Options{Log: slog.New(slog.DiscardHandler)}.Handler(
			func(ctx context.Context) ([]*certtoken.Certificate, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
		began := time.Now()
		assert.Equal(t, http.StatusInternalServerError, get(h).StatusCode)
		assert.Equal(t, 10*time.Second, time.Since(began))
	})
}

// A reader that leaves doesn't end the others' question.
func TestReaderLeaves(t *testing.T) {
	cert := ecKey(t)
	synctest.Test(t, func(t *testing.T) {
		h := jwks.Options{}.Handler(func(ctx context.Context) ([]*certtoken.Certificate, error) {
			time.Sleep(time.Second / 2)
			return []*certtoken.Certificate{cert}, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
		synctest.Wait()
		cancel()
		assert.Equal(t, http.StatusOK, get(h).StatusCode)
	})
}

// One failing source of several is one set that can't be made.
func TestHandlerNamesTheSource(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	failing := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		return nil, errors.New("no such file")
	})
	assert.Equal(t, http.StatusInternalServerError, get(jwks.Handler(ecKey(t), failing)).StatusCode)
	assert.Contains(t, log.String(), "source 2: no such file")
}
