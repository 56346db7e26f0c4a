package keyset

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

// member is a public EC key as a JWK, for tests to change.
func member(t *testing.T, more map[string]any) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := jwk.New(key.Public())
	require.NoError(t, err)
	data, err := json.Marshal(public)
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	for name, value := range more {
		members[name] = value
	}
	return members
}

func set(t *testing.T, members ...map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": members})
	require.NoError(t, err)
	return data
}

type more = map[string]any

func TestParse(t *testing.T) {
	one, err := json.Marshal(member(t, more{"kid": "one"}))
	require.NoError(t, err)
	private := member(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	secret, err := key.Bytes()
	require.NoError(t, err)
	public, err := jwk.New(key.Public())
	require.NoError(t, err)
	private["x"], private["y"], private["d"] = public.X, public.Y, base64.RawURLEncoding.EncodeToString(secret)
	for name, c := range map[string]struct {
		data []byte
		ids  []string
		err  string
	}{
		"one key":        {one, []string{"one"}, ""},
		"a set":          {set(t, member(t, more{"kid": "a"}), member(t, more{"kid": "b"})), []string{"a", "b"}, ""},
		"one kid, twice": {set(t, member(t, more{"kid": "a"}), member(t, more{"kid": "a"})), []string{"a", "a"}, ""},
		"for encryption": {set(t, member(t, more{"kid": "a", "use": "enc"}), member(t, more{"kid": "b", "use": "sig"})),
			[]string{"b"}, ""},
		"for other operations": {set(t, member(t, more{"kid": "a", "key_ops": []string{"deriveKey"}}),
			member(t, more{"kid": "b", "key_ops": []string{"verify"}})), []string{"b"}, ""},
		"a kind that isn't known": {set(t, more{"kty": "AKP", "kid": "a"}, member(t, more{"kid": "b"})),
			[]string{"b"}, ""},
		"nothing for signatures": {set(t, member(t, more{"use": "enc"})), nil, "no key in it verifies signatures"},
		"nothing that is known":  {set(t, more{"kty": "oct", "k": "AAAA"}), nil, "key 1"},
		"a private key":          {set(t, private), nil, "is private: register its public half"},
		"no JSON":                {[]byte("-----BEGIN"), nil, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := Parse(c.data)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				assert.NotContains(t, err.Error(), private["d"])
				return
			}
			require.NoError(t, err)
			var ids []string
			for _, key := range keys {
				ids = append(ids, key.ID)
			}
			assert.Equal(t, c.ids, ids)
		})
	}
}

// answers is a client whose answers a test sets.
type answers struct {
	mu       sync.Mutex
	body     []byte
	status   int
	header   http.Header
	err      error
	delay    time.Duration
	requests int
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	delay := a.delay
	a.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return nil, context.Cause(req.Context())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	if a.err != nil {
		return nil, a.err
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: a.header.Clone(),
		Body: io.NopCloser(strings.NewReader(string(a.body))),
	}, nil
}

// remote runs a test in a bubble.
func remote(t *testing.T, run func(t *testing.T, a *answers, ids func(again bool) string)) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{body: set(t, member(t, more{"kid": "old"}))}
		r, err := NewRemote("https://app.example/jwks", &http.Client{Transport: a})
		require.NoError(t, err)
		run(t, a, func(again bool) string {
			keys, err := r.Load(t.Context(), again)
			if err != nil {
				return err.Error()
			}
			var ids []string
			for _, key := range keys {
				ids = append(ids, key.ID)
			}
			return strings.Join(ids, " ")
		})
	})
}

func TestRemoteIsCached(t *testing.T) {
	for name, c := range map[string]struct {
		control  string
		after    time.Duration
		requests int
	}{
		"a while":                {"", usualAge - time.Second, 1},
		"until it is old":        {"", usualAge, 2},
		"as the answer says":     {"public, max-age=60", 59 * time.Second, 1},
		"no longer":              {"public, max-age=60", time.Minute, 2},
		"for an hour at most":    {"max-age=999999999999999999", maxAge, 2},
		"for nearly an hour":     {"max-age=86400", maxAge - time.Second, 1},
		"not where it mustn't":   {"no-store", time.Millisecond, 2},
		"nor where it isn't new": {"max-age=0", time.Millisecond, 2},
		"nonsense":               {"max-age=soon", usualAge - time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			remote(t, func(t *testing.T, a *answers, ids func(bool) string) {
				a.header = http.Header{"Cache-Control": {c.control}}
				assert.Equal(t, "old", ids(false))
				time.Sleep(c.after)
				assert.Equal(t, "old", ids(false))
				assert.Equal(t, c.requests, a.requests)
			})
		})
	}
}

// An unknown key makes it fetch again, but not each time.
func TestRemoteIsFetchedAgain(t *testing.T) {
	remote(t, func(t *testing.T, a *answers, ids func(bool) string) {
		assert.Equal(t, "old", ids(false))
		a.body = set(t, member(t, more{"kid": "new"}))
		assert.Equal(t, "old", ids(true), "it has just been fetched")
		time.Sleep(minPause)
		assert.Equal(t, "new", ids(true))
		for range 10 {
			assert.Equal(t, "new", ids(true))
		}
		assert.Equal(t, 2, a.requests)
	})
}

func TestRemoteFails(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(a *answers)
		err   string
	}{
		"unreachable": {func(a *answers) { a.err = errors.New("no route") }, "no route"},
		"missing":     {func(a *answers) { a.status = http.StatusNotFound }, "status 404"},
		"no set":      {func(a *answers) { a.body = []byte("<html>") }, "not a JSON object"},
		"too large":   {func(a *answers) { a.body = []byte(strings.Repeat(" ", jwk.MaxSet+1)) }, "over 1048576 bytes"},
		"silent":      {func(a *answers) { a.delay = time.Hour }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			remote(t, func(t *testing.T, a *answers, ids func(bool) string) {
				good := a.body
				c.spoil(a)
				for range 5 {
					assert.Contains(t, ids(false), c.err)
				}
				assert.LessOrEqual(t, a.requests, 1, "a failure is remembered for a moment")
				time.Sleep(minPause)
				a.body, a.status, a.err, a.delay = good, 0, nil, 0
				assert.Equal(t, "old", ids(false))
				c.spoil(a)
				time.Sleep(minPause)
				assert.Equal(t, "old", ids(true), "what may still be used is")
				time.Sleep(usualAge)
				assert.Contains(t, ids(false), c.err)
			})
		})
	}
}

// One fetch serves everybody who waits, also when its caller has left.
func TestRemoteIsFetchedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{body: set(t, member(t, more{"kid": "old"})), delay: time.Second}
		r, err := NewRemote("https://app.example/jwks", &http.Client{Transport: a})
		require.NoError(t, err)
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.Load(first, false) })
		synctest.Wait()
		for range 9 {
			wg.Go(func() {
				keys, err := r.Load(t.Context(), true)
				assert.NoError(t, err)
				assert.Len(t, keys, 1)
			})
		}
		impatient, end := context.WithTimeout(t.Context(), time.Millisecond)
		defer end()
		_, err = r.Load(impatient, false)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		leave()
		wg.Wait()
		assert.Equal(t, 1, a.requests)
	})
}

// A client that panics leaves nobody waiting.
func TestRemoteClientPanics(t *testing.T) {
	r, err := NewRemote("https://app.example/jwks", &http.Client{Transport: panics{}})
	require.NoError(t, err)
	assert.Panics(t, func() { _, _ = r.Load(t.Context(), false) })
	_, err = r.Load(t.Context(), false)
	assert.ErrorContains(t, err, "broken off")
}

type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("oh") }

func TestRemoteURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://app.example/jwks":      true,
		"http://127.0.0.1:8080/jwks":    true,
		"http://[::1]/jwks":             true,
		"http://localhost/jwks":         true,
		"http://app.example/jwks":       false,
		"http://localhost.example/jwks": false,
		"app.example/jwks":              false,
		"https://u:p@app.example/jwks":  false,
		"https://app.example/#jwks":     false,
		"":                              false,
		"file:///etc/passwd":            false,
	} {
		_, err := NewRemote(url, http.DefaultClient)
		assert.Equal(t, ok, err == nil, url)
	}
}
