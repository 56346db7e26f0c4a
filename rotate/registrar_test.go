package rotate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/secrettest"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/rotate/rotatetest"
	"github.com/certtoken/certtoken/selfsigned"
)

func newEC(t *testing.T) *certtoken.Certificate {
	t.Helper()
	cert, err := selfsigned.New(selfsigned.Options{Key: selfsigned.EC})
	require.NoError(t, err)
	return cert
}

func ec() (*certtoken.Certificate, error) {
	return selfsigned.New(selfsigned.Options{Key: selfsigned.EC})
}

func TestGraphIsARegistrar(t *testing.T) {
	for name, options := range map[string]rotate.GraphOptions{
		"application": {}, "service principal": {ServicePrincipal: true},
	} {
		for _, permitted := range [][]string{nil, {clientID}} {
			t.Run(fmt.Sprintf("%s, permitted %v", name, permitted != nil), func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{Permitted: permitted})
				id := certtokentest.ApplicationID(clientID)
				if options.ServicePrincipal {
					id = certtokentest.ServicePrincipalID(clientID)
					w.server.RegisterServicePrincipal(clientID, w.current().Leaf)
				}
				options.HTTPClient = w.server.Client()
				rotatetest.TestRegistrar(t, rotatetest.Fixture{
					Registrar: options.Registrar(id),
					As:        rotate.Identity{Client: w.client, Certificate: w.current()},
					NewKey:    func() (*certtoken.Certificate, error) { return w.newCert(), nil },
					IDs: func() (ids []string, err error) {
						for _, c := range w.server.KeyCredentials(id) {
							ids = append(ids, c.KeyID)
						}
						return ids, nil
					},
				})
			})
		}
	}
}

// What Graph refuses says what to do, and that nothing was changed.
func TestGraphRefuses(t *testing.T) {
	app := certtokentest.ApplicationID(clientID)
	for name, c := range map[string]struct {
		options rotate.GraphOptions
		id      string
		change  func(*world, *rotate.Identity)
		want    string
	}{
		"audience": {rotate.GraphOptions{Audience: "00000003-0000-0000-c000-000000000000"}, app, nil,
			"audience"},
		"algorithm":        {rotate.GraphOptions{Algorithm: certtoken.PS256}, app, nil, "proof"},
		"object of others": {rotate.GraphOptions{}, certtokentest.ApplicationID("other"), nil, "object id"},
		"unknown object":   {rotate.GraphOptions{}, "11111111-2222-3333-4444-555555555555", nil, "object id"},
		"expired": {rotate.GraphOptions{}, app, func(w *world, as *rotate.Identity) {
			key, err := pooledKey(selfsigned.Options{})
			require.NoError(w, err)
			as.Certificate, err = selfsigned.For(context.Background(), key, selfsigned.Options{Validity: time.Hour})
			require.NoError(w, err)
			time.Sleep(2 * time.Hour)
		}, "by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{})
				w.server.Register("other", w.newCert().Leaf)
				as := rotate.Identity{Client: w.client, Certificate: w.current()}
				if c.change != nil {
					c.change(w, &as)
				}
				c.options.HTTPClient = w.server.Client()
				registrar := c.options.Registrar(c.id)
				_, err := registrar.Add(t.Context(), w.newCert(), as)
				require.ErrorIs(t, err, rotate.ErrRefused)
				if name == "expired" {
					require.ErrorContains(t, err, c.want)
					return
				}
				w.registrar = registrar
				w.restart()
				_, err = w.rotation.Begin(t.Context())
				require.ErrorContains(t, err, c.want)
				assert.Len(t, w.registered(), 1)
			})
		})
	}
}

// Answers that are none are errors, and nothing says what was sent.
func TestGraphAnswersSomethingElse(t *testing.T) {
	for name, fault := range map[string]certtokentest.Fault{
		"HTML":      {Status: 200, Shape: certtokentest.HTML},
		"reset":     {Shape: certtokentest.ResetConnection},
		"redirect":  {Shape: certtokentest.Redirect, Location: "https://elsewhere.example/"},
		"endless":   {Shape: certtokentest.EndlessBody},
		"no key id": {Status: 200, Body: "{}"},
		"busy":      {Status: 429, Header: http.Header{"Retry-After": {"7200"}}},
		"down":      {Status: 503, Body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{})
				w.server.Graph().FailFunc(func(r *http.Request) *certtokentest.Fault {
					if r.Method == http.MethodPost {
						return &fault
					}
					return nil
				})
				status, err := w.rotation.Begin(t.Context())
				require.Error(t, err)
				require.NotNil(t, status.Failing)
				assert.False(t, secrettest.BeginsJWT(err.Error()), "the beginning of a JWT")
				assert.NotEmpty(t, status.Failing.Advice)
				if name == "busy" {
					assert.Equal(t, time.Hour, status.Failing.Again.Sub(time.Now().UTC()))
				}
				w.server.Graph().FailFunc(nil)
				assert.Nil(t, w.rotate().Failing)
			})
		})
	}
}

func TestAKeySetIsARegistrar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	set := rotate.JWKS(path)
	require.NoError(t, set.Publish(newEC(t)))
	rotatetest.TestRegistrar(t, rotatetest.Fixture{
		Registrar: set, NewKey: ec, IDs: func() ([]string, error) { return kids(t, path), nil },
	})
}

func kids(t *testing.T, path string) (ids []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(data, &set))
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

// What others have put into the set stays there as it is.
func TestASetKeepsWhatIsNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	const others = `{"note": "ours", "keys": [
		{"kty": "RSA", "use": "enc", "kid": "theirs", "n": "AQ", "e": "AQAB", "x": 1}]}`
	require.NoError(t, os.WriteFile(path, []byte(others), 0o600))
	require.NoError(t, os.Chmod(path, 0o640)) // whatever the umask is
	set := rotate.JWKS(path)
	cert := newEC(t)
	id, err := set.Add(t.Context(), cert, rotate.Identity{})
	require.NoError(t, err)
	require.NoError(t, set.Remove(t.Context(), rotate.Key{ID: id}, rotate.Identity{}))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.JSONEq(t, others, string(data))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), info.Mode())
	}
	err = set.Remove(t.Context(), rotate.Key{ID: "theirs"}, rotate.Identity{})
	assert.ErrorIs(t, err, rotate.ErrRefused, "the last key of a set")
}

// A private key is neither served nor kept silent about, whatever kind of key it is, and however it
// is written.
func TestASetWithAPrivateKeyIsNotUsed(t *testing.T) {
	for name, key := range map[string]string{
		"OKP":           `{"kty": "OKP", "kid": "k", "d": "c2VjcmV0"}`,
		"oct":           `{"kty": "oct", "kid": "k", "k": "c2VjcmV0"}`,
		"AKP":           `{"kty": "AKP", "kid": "k", "pub": "AA", "priv": "c2VjcmV0"}`,
		"RSA by primes": `{"kty": "RSA", "kid": "k", "n": "AQ", "e": "AQAB", "p": "c2VjcmV0", "q": "AQ"}`,
		"RSA by a CRT":  `{"kty": "RSA", "kid": "k", "n": "AQ", "e": "AQAB", "dp": "c2VjcmV0"}`,
		"twice":         `{"kty": "OKP", "kid": "k", "d": "c2VjcmV0", "d": null}`,
		"upper case":    `{"kty": "OKP", "kid": "k", "D": "c2VjcmV0"}`,
		"escaped":       `{"kty": "OKP", "kid": "k", "\u0064": "c2VjcmV0"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "jwks.json")
			require.NoError(t, os.WriteFile(path, []byte(`{"keys": [`+key+`]}`), 0o600))
			set := rotate.JWKS(path)
			_, err := set.Add(t.Context(), newEC(t), rotate.Identity{})
			require.ErrorContains(t, err, "private")
			assert.NotContains(t, err.Error(), "c2VjcmV0")
			w := httptest.NewRecorder()
			set.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			assert.Equal(t, http.StatusInternalServerError, w.Code)
			assert.NotContains(t, w.Body.String(), "c2VjcmV0")
		})
	}
}

// Anybody can ask for the set. While its file hangs, the last good one is served, and the requests don't
// pile up in the file system.
func TestASetOnAMountThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	cert := newEC(t)
	synctest.Test(t, func(t *testing.T) {
		set := rotate.JWKS(path)
		require.NoError(t, set.Publish(cert))
		ask := func() string {
			w := httptest.NewRecorder()
			set.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			return w.Body.String()
		}
		require.Contains(t, ask(), jwks.KeyID(cert))
		time.Sleep(2 * time.Second)
		release := make(chan struct{})
		defer close(release)
		set.OccupyFile(release)
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { assert.Contains(t, ask(), jwks.KeyID(cert)) })
		}
		all.Wait()
		assert.LessOrEqual(t, time.Since(began), 5*time.Second)
	})
}

func TestASetIsServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	set := rotate.JWKSOptions{Set: jwks.Options{MaxAge: time.Minute}}.Registrar(path)
	get := func(method, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/jwks.json", nil)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		set.ServeHTTP(w, r)
		return w
	}
	assert.Equal(t, 500, get("GET", "").Code)
	cert := newEC(t)
	require.NoError(t, set.Publish(cert))
	answer := get("GET", "")
	assert.Equal(t, 200, answer.Code)
	assert.Equal(t, "public, max-age=60", answer.Header().Get("Cache-Control"))
	assert.Equal(t, "application/jwk-set+json", answer.Header().Get("Content-Type"))
	assert.Contains(t, answer.Body.String(), jwks.KeyID(cert))
	assert.Equal(t, 304, get("GET", answer.Header().Get("ETag")).Code)
	assert.Equal(t, 405, get("POST", "").Code)
	assert.Equal(t, time.Minute, set.Delay())
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	assert.Contains(t, get("GET", "").Body.String(), jwks.KeyID(cert), "the last good one")
}

// A key that is added here is served at once, and what somebody else writes within a second.
func TestAChangedSetIsServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwks.json")
	one, two := newEC(t), newEC(t)
	synctest.Test(t, func(t *testing.T) {
		set, other := rotate.JWKS(path), rotate.JWKS(path)
		ask := func() string {
			w := httptest.NewRecorder()
			set.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			return w.Body.String()
		}
		ask()
		require.NoError(t, set.Publish(one))
		assert.Contains(t, ask(), jwks.KeyID(one))
		require.NoError(t, other.Publish(two))
		time.Sleep(time.Second)
		assert.Contains(t, ask(), jwks.KeyID(two))
	})
}

// script is a program that keeps keys in files, each named by its id.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it needs a shell")
	}
	path := filepath.Join(t.TempDir(), "registrar")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nset -e\n"+text), 0o700))
	return path
}

func TestAProgramIsARegistrar(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), nil, 0o600))
	program := script(t, `
cd "$1"
id="id-$CERTTOKEN_ROTATE_THUMBPRINT"
case $CERTTOKEN_ROTATE_ACTION in
add) cat > "$id"; printf '{"key_id": "%s"}' "$id" ;;
remove) rm -f "$CERTTOKEN_ROTATE_KEY_ID" ;;
find) if [ -e "$id" ]; then printf '{"key_ids": ["%s"]}' "$id"; fi ;;
*) exit 3 ;;
esac
`)
	registrar := rotate.Exec(program, dir)
	list := func() (ids []string, err error) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			ids = append(ids, e.Name())
		}
		return ids, err
	}
	rotatetest.TestRegistrar(t, rotatetest.Fixture{Registrar: registrar, NewKey: ec, IDs: list})

	cert := newEC(t)
	id, err := registrar.Add(t.Context(), cert, rotate.Identity{})
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(dir, id))
	require.NoError(t, err)
	var order map[string]any
	require.NoError(t, json.Unmarshal(data, &order))
	about := rotate.KeyOf(cert)
	assert.Equal(t, "add", order["action"])
	assert.EqualValues(t, 1, order["version"])
	assert.Equal(t, about.Thumbprint, order["thumbprint"])
	assert.Equal(t, about.SHA1, order["sha1"])
	assert.Contains(t, order["certificate"], "BEGIN CERTIFICATE")
	assert.NotContains(t, string(data), "PRIVATE")
	assert.NotContains(t, order["jwk"], "d")
}

func TestWhatAProgramSays(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		is    error
		want  string
		limit time.Duration // 0: the default
	}{
		"nothing was changed": {"echo no permission >&2; exit 2", rotate.ErrRefused, "no permission", 0},
		"unsupported":         {"exit 3", errors.ErrUnsupported, "", 0},
		"another status":      {"echo odd >&2; exit 7", nil, "odd", 0},
		"no JSON":             {"echo hello", nil, "no JSON", 0},
		"too much":            {"yes | head -c 100000", nil, "65536", 0},
		"too long":            {"sleep 500 & sleep 500", nil, "took over", 2 * time.Second},
		"a secret": {"echo eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyaHVudGVyMiJ9.aHVudGVyMmh1bnRlcjJodW50ZXIy " +
			">&2; exit 1",
			nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			registrar := rotate.ExecOptions{Limit: c.limit}.Registrar(script(t, c.text))
			_, err := registrar.(rotate.Finder).Find(t.Context(), newEC(t), rotate.Identity{})
			require.Error(t, err)
			if c.is != nil {
				assert.ErrorIs(t, err, c.is)
			} else {
				assert.NotErrorIs(t, err, rotate.ErrRefused)
			}
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "aHVudGVyMmh1bnRlcjJodW50ZXIy")
			assert.Less(t, time.Since(began), 4*time.Minute, "the program's sleep is longer")
		})
	}
	_, err := rotate.Exec(filepath.Join(t.TempDir(), "missing")).Add(t.Context(), newEC(t), rotate.Identity{})
	assert.ErrorIs(t, err, rotate.ErrRefused)
}

// The environment and the arguments of a program may hold secrets, and no print of the registrar
// shows them.
func TestExecPrintsNoSecret(t *testing.T) {
	registrar := rotate.ExecOptions{Env: []string{"DB=hunter2"}}.Registrar("register", "--token=hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb+verb, registrar, struct{ R rotate.Registrar }{registrar})
		assert.NotContains(t, text, "hunter2")
		assert.NotContains(t, text, fmt.Sprintf("%x", "hunter2"))
		assert.NotContains(t, text, strings.Trim(fmt.Sprint([]byte("hunter2")), "[]"))
	}
	data, err := json.Marshal(registrar)
	require.NoError(t, err)
	assert.NotContains(t, string(data), "hunter2")
}

// What is the matter with the file of a set is said once, in one line, with advice of its own.
func TestASetThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct{ path, content, want string }{
		"no JSON":   {"jwks.json", "garbage", "jwks.json: it is no JSON object: invalid"},
		"null":      {"jwks.json", "null", "it is null"},
		"no set":    {"jwks.json", "{}", "no list of keys"},
		"private":   {"jwks.json", `{"keys":[{"kid":"a","d":"x"}]}`, "private one"},
		"no folder": {"none/jwks.json", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), filepath.FromSlash(c.path))
				if c.content != "" {
					require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
				}
				w := newWorld(t, certtokentest.GraphRules{}, func(w *world) { w.registrar = rotate.JWKS(path) })
				_, err := w.rotation.Advance(t.Context())
				require.ErrorContains(t, err, c.want)
				assert.ErrorContains(t, err, "the file of the JWK Set")
				assert.Equal(t, 1, strings.Count(err.Error(), "jwks:"+path))
				assert.NotContains(t, err.Error(), "\n")
				assert.NotContains(t, err.Error(), `\n`)
			})
		})
	}
}

// A status says when a rotation is due by the options of now, not by those of the last run.
func TestAStatusIsByItsOptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{})
		before := w.advance().Due
		w.options.Before = 10 * day
		w.restart()
		status, err := w.rotation.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, before.Add(20*day), status.Due)
	})
}

// What Graph says to reading keys, and to removing one of an object that isn't there.
func TestGraphFinds(t *testing.T) {
	for name, c := range map[string]struct {
		status      int
		unsupported bool
	}{
		"no permission": {http.StatusForbidden, true},
		"no token":      {http.StatusUnauthorized, true},
		"bad request":   {http.StatusBadRequest, true},
		"no object":     {http.StatusNotFound, false},
		"too many":      {http.StatusTooManyRequests, false},
		"timeout":       {http.StatusRequestTimeout, false},
		"down":          {http.StatusServiceUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{Permitted: []string{clientID}})
				as := rotate.Identity{Client: w.client, Certificate: w.current()}
				require.NoError(t, w.client.Check(t.Context(), scope))
				w.server.Graph().FailFunc(func(r *http.Request) *certtokentest.Fault {
					if r.Method != http.MethodGet {
						return nil
					}
					return &certtokentest.Fault{Status: c.status}
				})
				_, err := w.registrar.(rotate.Finder).Find(t.Context(), w.current(), as)
				require.Error(t, err)
				assert.Equal(t, c.unsupported, errors.Is(err, errors.ErrUnsupported), err)
			})
		})
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Permitted: []string{clientID}})
		as := rotate.Identity{Client: w.client, Certificate: w.current()}
		key := rotate.KeyOf(w.newCert())
		key.ID = "11111111-2222-3333-4444-555555555555"
		assert.NoError(t, w.registrar.Remove(t.Context(), key, as), "it isn't there any more")
		other := rotate.GraphOptions{HTTPClient: w.server.Client()}.Registrar("11111111-2222-3333-4444-555555555555")
		assert.ErrorIs(t, other.Remove(t.Context(), key, as), rotate.ErrRefused, "the object isn't there")
	})
}

// lockThatFails is a Locker of somebody else's, whose errors say too much.
type lockThatFails struct{ certtoken.Locker }

func (lockThatFails) TryLock(context.Context, string, time.Duration) (func(context.Context) error, error) {
	return nil, errors.New("dial redis://user:hunter2secret@host: refused")
}

func TestALockTellsNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld(t, certtokentest.GraphRules{}, func(w *world) {
			w.options.Lock = lockThatFails{}
			w.options.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		_, err := w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "refused")
		for _, text := range []string{
			err.Error(), fmt.Sprintf("%+v", err), log.String(), w.rotation.Forget(t.Context(), "x").Error(),
			fmt.Sprintf("%v %+v", w.events[0].Err, w.events[0]),
		} {
			assert.NotContains(t, text, "hunter2secret")
		}
	})
}

// A registrar that hangs, panics, or tells a secret doesn't harm a rotation.
func TestABadRegistrar(t *testing.T) {
	const secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyaHVudGVyMiJ9.aHVudGVyMmh1bnRlcjJodW50ZXIy"
	for name, add := range map[string]func() (string, error){
		"panic":   func() (string, error) { panic(secret) },
		"secret":  func() (string, error) { return "", errors.New(secret) },
		"long id": func() (string, error) { return strings.Repeat("x", 1000), nil },
		"NUL":     func() (string, error) { return "x\x00", nil },
		"newline": func() (string, error) { return "x\ny", nil },
		"bytes":   func() (string, error) { return "x\xff", nil },
		"hang":    func() (string, error) { time.Sleep(time.Hour); return "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{})
				w.registrar = &stubRegistrar{add: add}
				w.restart()
				began := time.Now()
				_, err := w.rotation.Begin(t.Context())
				require.Error(t, err)
				assert.NotContains(t, err.Error(), "aHVudGVyMmh1")
				assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
				data, err := os.ReadFile(w.file + ".rotation.json")
				require.NoError(t, err)
				assert.False(t, bytes.Contains(data, []byte("aHVudGVyMmh1")))
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

type stubRegistrar struct{ add func() (string, error) }

func (s *stubRegistrar) Add(context.Context, *certtoken.Certificate, rotate.Identity) (string, error) {
	return s.add()
}
func (*stubRegistrar) Remove(context.Context, rotate.Key, rotate.Identity) error { return nil }
func (*stubRegistrar) String() string                                            { return "stub" }
