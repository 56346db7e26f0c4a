package certtoken_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const apiScope, apiURL = "api://orders/.default", "https://orders.example.com/"

// newAPI puts an API that wants the server's tokens on a host of its own.
func newAPI(r *rig) *certtokentest.Resource {
	api := r.server.Resource("api://orders", nil)
	r.server.Handle("orders.example.com/", api)
	return api
}

// httpClient calls what the server stands for with the client's tokens.
func (r *rig) httpClient() *http.Client {
	return &http.Client{Transport: r.client.Transport(r.server.Transport(), apiScope)}
}

func status(t testing.TB, resp *http.Response, err error) int {
	t.Helper()
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestTransportPutsTheTokenOnRequests(t *testing.T) {
	r := newRig(t)
	api := newAPI(r)
	hc := r.httpClient()
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
		require.NoError(t, err)
		req.Header.Set("X-Own", "value")
		resp, err := hc.Do(req)
		assert.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, http.Header{"X-Own": {"value"}}, req.Header, "the caller's request is changed")
		assert.Empty(t, resp.Request.Header.Get("Authorization"), "who prints the response's request prints the token")
	}
	assert.Equal(t, 1, r.server.Count())
	allowed, refused := api.Counts()
	assert.Equal(t, 3, allowed)
	assert.Zero(t, refused)
}

// A RoundTripper must not touch its request, and closes its body whatever
// happens.
func TestTransportKeepsTheRoundTripperContract(t *testing.T) {
	fails := errors.New("no network")
	for name, c := range map[string]struct {
		url   string
		setUp func(*rig)
		base  http.RoundTripper
		want  string
	}{
		"no token": {
			url: apiURL, setUp: func(r *rig) { r.server.FailAlways(certtokentest.Fault{Code: 700016}) },
			want: "700016",
		},
		"plain http": {url: "http://orders.example.com/", want: "https only"},
		"no scheme":  {url: "ftp://orders.example.com/", want: "https only"},
		"no network": {
			url: apiURL, base: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, fails }),
			want: "no network",
		},
		"closed": {url: apiURL, setUp: func(r *rig) { assert.NoError(t, r.client.Close()) }, want: "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.setUp != nil {
				c.setUp(r)
			}
			if c.base == nil {
				c.base = r.server.Transport()
			}
			body := &closeCounter{Reader: strings.NewReader("body")}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, body)
			require.NoError(t, err)
			before := req.Clone(t.Context())
			_, err = r.client.Transport(c.base, apiScope).RoundTrip(req)
			require.ErrorContains(t, err, c.want)
			assert.Positive(t, body.closed.Load(), "the body is left open")
			assert.Equal(t, before.Header, req.Header)
			assert.Equal(t, before.URL, req.URL)
		})
	}
	t.Run("a request without a header map", func(t *testing.T) {
		r := newRig(t)
		newAPI(r)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
		require.NoError(t, err)
		req.Header = nil
		require.NotPanics(t, func() {
			resp, err := r.httpClient().Transport.RoundTrip(req)
			assert.Equal(t, 200, status(t, resp, err))
		})
	})
}

type closeCounter struct {
	io.Reader
	closed atomic.Int32
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

// hop is one answer of a server in a chain of redirects.
type hop struct {
	from, to string
	code     int
}

// chain answers by redirects, and records who was given a token.
type chain struct {
	hops   []hop
	mu     sync.Mutex
	tokens map[string]bool // by URL
	bodies map[string]string
}

func (c *chain) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[req.URL.String()] = req.Header.Get("Authorization") != ""
	c.bodies[req.URL.String()] = string(body)
	w := httptest.NewRecorder()
	for _, h := range c.hops {
		if h.from == req.URL.String() {
			w.Header().Set("Location", h.to)
			w.WriteHeader(h.code)
			break
		}
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// The token goes to https and to the host of the first request only.
func TestTransportAndRedirects(t *testing.T) {
	const a, b = "https://a.example.com/", "https://b.example.com/"
	for name, c := range map[string]struct {
		hops []hop
		want map[string]bool // who gets the token
	}{
		"none": {nil, map[string]bool{a: true}},
		"the same host": {
			[]hop{{a, a + "2", 307}, {a + "2", a + "3", 307}}, map[string]bool{a: true, a + "2": true, a + "3": true},
		},
		"the same, other case": {
			[]hop{{a, "https://A.example.com/2", 302}}, map[string]bool{a: true, "https://A.example.com/2": true},
		},
		"the same, with 443": {
			[]hop{{a, "https://a.example.com:443/2", 307}, {"https://a.example.com:443/2", a + "3", 307}},
			map[string]bool{a: true, "https://a.example.com:443/2": true, a + "3": true},
		},
		"another host":           {[]hop{{a, b, 302}}, map[string]bool{a: true, b: false}},
		"another host, with 307": {[]hop{{a, b, 307}}, map[string]bool{a: true, b: false}},
		"on at another host": {
			[]hop{{a, b, 302}, {b, b + "2", 302}}, map[string]bool{a: true, b: false, b + "2": false},
		},
		"there and back": {
			[]hop{{a, b, 302}, {b, a + "2", 302}}, map[string]bool{a: true, b: false, a + "2": false},
		},
		"a subdomain": {
			[]hop{{a, "https://x.a.example.com/", 302}}, map[string]bool{a: true, "https://x.a.example.com/": false},
		},
		"another port": {
			[]hop{{a, "https://a.example.com:8443/", 302}},
			map[string]bool{a: true, "https://a.example.com:8443/": false},
		},
		"with a dot": {
			[]hop{{a, "https://a.example.com./", 302}}, map[string]bool{a: true, "https://a.example.com./": false},
		},
		"to http on 443": {
			[]hop{{a, "http://a.example.com:443/", 302}},
			map[string]bool{a: true, "http://a.example.com:443/": false},
		},
		"to plain http": {
			[]hop{{a, "http://a.example.com/", 302}}, map[string]bool{a: true, "http://a.example.com/": false},
		},
		"to plain http with 307": {
			[]hop{{a, "http://a.example.com/", 307}}, map[string]bool{a: true, "http://a.example.com/": false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			base := &chain{hops: c.hops, tokens: map[string]bool{}, bodies: map[string]string{}}
			hc := &http.Client{Transport: r.client.Transport(base, apiScope)}
			resp, err := hc.Post(a, "text/plain", strings.NewReader("the body"))
			assert.Equal(t, 200, status(t, resp, err))
			assert.Equal(t, c.want, base.tokens)
			for _, h := range c.hops {
				if h.code == 307 {
					assert.Equal(t, "the body", base.bodies[h.to])
				}
			}
		})
	}
}

// A caller's own Authorization header goes no further than the token.
func TestTransportReplacesAuthorization(t *testing.T) {
	r := newRig(t)
	var seen []string
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		seen = req.Header.Values("Authorization")
		return httptest.NewRecorder().Result(), nil
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Basic abc")
	resp, err := r.client.Transport(base, apiScope).RoundTrip(req)
	assert.Equal(t, 200, status(t, resp, err))
	assert.Equal(t, []string{"Bearer " + r.server.LastRequest().AccessToken}, seen)
	assert.Equal(t, "Basic abc", req.Header.Get("Authorization"))
}

func TestTransportOverLoopbackHTTP(t *testing.T) {
	var seen atomic.Value
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		seen.Store(req.Header.Get("Authorization"))
	}))
	defer api.Close()
	server := certtokentest.New(certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	for name, c := range map[string]struct {
		opts []certtoken.AuthorityOption
		url  string
		want string
	}{
		"allowed":     {[]certtoken.AuthorityOption{certtoken.WithLoopbackHTTP()}, api.URL, ""},
		"not allowed": {nil, api.URL, "https only"},
		"allowed, another machine": {
			[]certtoken.AuthorityOption{certtoken.WithLoopbackHTTP()}, "http://api.example.com/", "https only",
		},
		"allowed, looks local": {
			[]certtoken.AuthorityOption{certtoken.WithLoopbackHTTP()}, "http://127.0.0.1.example.com/", "https only",
		},
		"allowed, localhost.evil": {
			[]certtoken.AuthorityOption{certtoken.WithLoopbackHTTP()}, "http://localhost.evil.com/", "https only",
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := certtoken.NewClient(
				certtoken.Entra("contoso.com", c.opts...),
				appID,
				cert,
				certtoken.WithHTTPClient(server.Client()),
			)
			require.NoError(t, err)
			defer client.Close()
			base := new(http.Transport)
			defer base.CloseIdleConnections()
			resp, err := (&http.Client{Transport: client.Transport(base, apiScope)}).Get(c.url)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			assert.Equal(t, 200, status(t, resp, err))
			assert.Equal(t, "Bearer "+server.LastRequest().AccessToken, seen.Load())
		})
	}
}

// A resource that refuses the token as invalid makes the client forget that
// token, get another and repeat the request once.
func TestInvalidToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		api := newAPI(r)
		hc := r.httpClient()
		first := r.token(t, apiScope)
		r.server.Revoke(first.AccessToken())
		resp, err := hc.Post(apiURL, "text/plain", strings.NewReader("again"))
		assert.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, 2, r.server.Count())
		allowed, refused := api.Counts()
		assert.Equal(t, [2]int{1, 1}, [2]int{allowed, refused})
		assert.NotSame(t, first, r.hit(t, apiScope))
	})
}

// A 401 whose body comes a byte a minute, or never ends, doesn't hold up the repetition.
func TestA401WithADrippingBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, apiScope)
		body := &dripping{closed: make(chan struct{})}
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(req.Header.Get("Authorization"), first.AccessToken()) {
				return httptest.NewRecorder().Result(), nil
			}
			refused := &http.Response{StatusCode: 401, Body: body, ContentLength: 100, Header: make(http.Header)}
			refused.Header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			return refused, nil
		})
		start := time.Now()
		resp, err := (&http.Client{Transport: r.client.Transport(base, apiScope)}).Get(apiURL)
		assert.Equal(t, 200, status(t, resp, err))
		assert.Zero(t, time.Since(start))
		select {
		case <-body.closed:
		default:
			t.Error("the body of the 401 is left open")
		}
	})
}

// dripping is a body that brings a byte a minute and never ends.
type dripping struct{ closed chan struct{} }

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Minute):
		return copy(p, "."), nil
	case <-d.closed:
		return 0, http.ErrBodyReadAfterClose
	}
}

func (d *dripping) Close() error {
	close(d.closed)
	return nil
}

// An API that always says 401 can't have the endpoint asked in a loop.
func TestAnAPIThatAlwaysRefuses(t *testing.T) {
	for name, refuse := range map[string]func(*certtokentest.Resource){
		"invalid_token":       func(api *certtokentest.Resource) { api.Refuse(-1) },
		"insufficient_claims": nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				r := newRig(t, certtoken.WithHooks(d.hooks()))
				if refuse != nil {
					refuse(newAPI(r))
				} else {
					r.server.Handle("orders.example.com/", challenger(`Bearer error="insufficient_claims", claims="`+
						base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"nbf":{"value":"1"}}}`))+`"`))
				}
				hc := r.httpClient()
				for range 600 { // ten minutes
					resp, err := hc.Get(apiURL)
					require.Equal(t, 401, status(t, resp, err))
					time.Sleep(time.Second)
				}
				assert.LessOrEqual(t, r.server.Count(), 1+10)
				assert.GreaterOrEqual(t, r.server.Count(), 5)
				assert.Len(t, d.of("ChallengeUnanswered"), 600-(r.server.Count()-1), "each that isn't answered is told")
			})
		})
	}
}

func challenger(header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Www-Authenticate"] = header
		w.WriteHeader(http.StatusUnauthorized)
	})
}

// Not every 401 is about the token.
func TestOther401s(t *testing.T) {
	for name, header := range map[string][]string{
		"none":               nil,
		"no error":           {`Bearer realm="x"`},
		"insufficient_scope": {`Bearer error="insufficient_scope"`},
		"another scheme":     {`Basic realm="x", error="invalid_token"`},
		"claims, no base64":  {`Bearer error="insufficient_claims", claims="!!!"`},
		"claims, no JSON":    {`Bearer error="insufficient_claims", claims="aGVsbG8="`},
		"claims, none":       {`Bearer error="insufficient_claims"`},
		"claims, open scope": {`Bearer error="insufficient_scope", claims="e30="`},
		"broken":             {`Bearer error="invalid_token`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.server.Handle("orders.example.com/", challenger(header...))
			resp, err := r.httpClient().Get(apiURL)
			assert.Equal(t, 401, status(t, resp, err))
			assert.Equal(t, 1, r.server.Count())
		})
	}
}

// A claims challenge in all its spellings.
func TestClaimsChallenge(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1702682181"},"q":"??>>"}}`
	std, url := base64.StdEncoding, base64.URLEncoding
	for name, header := range map[string][]string{
		"as Microsoft sends it": {`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="` + std.EncodeToString([]byte(claims)) + `"`},
		"claims first": {`Bearer claims="` + std.EncodeToString([]byte(claims)) +
			`", error="insufficient_claims"`},
		"unpadded": {`Bearer error="insufficient_claims", claims="` +
			std.WithPadding(base64.NoPadding).EncodeToString([]byte(claims)) + `"`},
		"base64url": {`Bearer error="insufficient_claims", claims="` + url.EncodeToString([]byte(claims)) +
			`"`},
		"without quotes": {`Bearer error=insufficient_claims, claims=` +
			url.WithPadding(base64.NoPadding).EncodeToString([]byte(claims))},
		"other case": {`bearer Error="insufficient_claims", CLAIMS="` + std.EncodeToString([]byte(claims)) +
			`"`},
		"among others": {
			`Basic realm="a, b=c"`,
			`Negotiate abc==, Bearer error="insufficient_claims", claims="` + std.EncodeToString([]byte(claims)) +
				`", PoP nonce="x"`,
		},
		"two of Bearer": {
			`Bearer realm="x"`,
			`Bearer error="insufficient_claims", claims="` + std.EncodeToString([]byte(claims)) + `"`,
		},
		"Resource Manager": {`Bearer authorization_uri="https://login.microsoftonline.com/x", error="invalid_token", ` +
			`error_description="The session has changed.", claims="` + std.EncodeToString([]byte(claims)) + `"`},
		"a quote within": {`Bearer realm="a \" b", error="insufficient_claims", claims="` +
			std.EncodeToString([]byte(claims)) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, certtoken.WithCapabilities("cp1"))
			var calls atomic.Int32
			refuse := challenger(header...)
			r.server.Handle("orders.example.com/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if calls.Add(1) == 1 {
					refuse.ServeHTTP(w, req)
				}
			}))
			resp, err := r.httpClient().Get(apiURL)
			assert.Equal(t, 200, status(t, resp, err))
			assert.JSONEq(
				t,
				`{"access_token":{"nbf":{"essential":true,"value":"1702682181"},"q":"??>>","xms_cc":{"values":["cp1"]}}}`,
				r.server.LastRequest().Form.Get("claims"),
			)
			assert.Equal(t, 2, r.server.Count())
			assert.EqualValues(t, 2, calls.Load())
		})
	}
}

func TestClaimsChallengeOfTheFakeAPI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		api := newAPI(r)
		hc := r.httpClient()
		resp, err := hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		api.Challenge(`{"access_token":{"nbf":{"value":"1"}}}`)
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, 2, r.server.Count())
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err), "the new token took the old one's place")
		assert.Equal(t, 2, r.server.Count())

		time.Sleep(50 * time.Minute) // renewed behind a caller, without the claims
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		synctest.Wait()
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err), "the challenge is answered again")
	})
}

// A token that was fetched without the claims meanwhile doesn't answer the
// challenge.
func TestClaimsChallengeOverARenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const claims = `{"access_token":{"nbf":{"value":"1"}}}`
		api := r.server.Resource("api://orders", nil)
		api.Challenge(claims)
		var once sync.Once
		r.server.Handle("orders.example.com/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			api.ServeHTTP(w, req)
			once.Do(func() { // another caller has the token renewed before the answer arrives
				_, err := r.client.Acquire(req.Context(), certtoken.Request{Scopes: []string{apiScope}, Fresh: true})
				assert.NoError(t, err)
			})
		}))
		resp, err := r.httpClient().Get(apiURL)
		assert.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, 3, r.server.Count())
	})
}

func TestBodiesAndRepetition(t *testing.T) {
	payload := strings.Repeat("payload ", 10_000)
	for name, c := range map[string]struct {
		body func() io.Reader
		want int
	}{
		"replayable":  {func() io.Reader { return strings.NewReader(payload) }, 200},
		"bytes":       {func() io.Reader { return bytes.NewReader([]byte(payload)) }, 200},
		"a stream":    {func() io.Reader { return io.MultiReader(strings.NewReader(payload)) }, 401},
		"none":        {func() io.Reader { return nil }, 200},
		"http.NoBody": {func() io.Reader { return http.NoBody }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var got []string
			api := r.server.Resource("api://orders", nil)
			r.server.Handle("orders.example.com/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				data, err := io.ReadAll(req.Body)
				assert.NoError(t, err)
				got = append(got, string(data))
				api.ServeHTTP(w, req)
			}))
			api.Refuse(1)
			hc := r.httpClient()
			resp, err := hc.Post(apiURL, "text/plain", c.body())
			assert.Equal(t, c.want, status(t, resp, err))
			want := payload
			if c.body() == nil || c.body() == http.NoBody {
				want = ""
			}
			for _, body := range got {
				assert.Equal(t, want, body)
			}
			resp, err = hc.Post(apiURL, "text/plain", c.body())
			assert.Equal(t, 200, status(t, resp, err), "the next request has the new token in any case")
			assert.Equal(t, 2, r.server.Count())
		})
	}
}

// A hundred requests are refused at once: one new token, and all are repeated.
func TestParallel401sAreOneRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		newAPI(r)
		first := r.token(t, apiScope)
		r.server.FailAlways(certtokentest.Fault{Delay: 100 * time.Millisecond})
		r.server.Revoke(first.AccessToken())
		hc := r.httpClient()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				resp, err := hc.Get(apiURL)
				assert.Equal(t, 200, status(t, resp, err))
			})
		}
		wg.Wait()
		assert.Equal(t, 2, r.server.Count())
	})
}

// A 401 for a token that was replaced meanwhile costs no request: the newer one
// is there, and isn't forgotten.
func TestALate401TakesTheNewerToken(t *testing.T) {
	for name, refuse := range map[string]func(*rig, *certtokentest.Resource, *certtoken.Token){
		"invalid_token": func(r *rig, _ *certtokentest.Resource, t *certtoken.Token) {
			r.server.Revoke(t.AccessToken())
		},
		"insufficient_claims": func(_ *rig, api *certtokentest.Resource, _ *certtoken.Token) {
			api.Challenge(`{"access_token":{"a":null}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				first := r.token(t, apiScope)
				api := r.server.Resource("api://orders", nil)
				refuse(r, api, first)
				r.server.Handle(
					"orders.example.com/slow",
					http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if strings.HasSuffix(req.Header.Get("Authorization"), first.AccessToken()) {
							time.Sleep(time.Second)
						}
						api.ServeHTTP(w, req)
					}),
				)
				r.server.Handle("orders.example.com/", api)
				hc := r.httpClient()
				var wg sync.WaitGroup
				wg.Go(func() {
					resp, err := hc.Get(apiURL + "slow")
					assert.Equal(t, 200, status(t, resp, err))
				})
				synctest.Wait()
				resp, err := hc.Get(apiURL)
				require.Equal(t, 200, status(t, resp, err))
				newer := r.hit(t, apiScope)
				wg.Wait()
				assert.Same(t, newer, r.hit(t, apiScope))
				assert.Equal(t, 2, r.server.Count())
			})
		})
	}
}

// The endpoint is down: the 401 is the answer, and comes with its body.
func TestA401ThatCantBeMended(t *testing.T) {
	r := newRig(t)
	api := newAPI(r)
	r.token(t, apiScope)
	api.Refuse(-1)
	r.server.FailAlways(certtokentest.Fault{Code: 700016})
	resp, err := r.httpClient().Get(apiURL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 401, resp.StatusCode)
	assert.Contains(t, string(body), "InvalidAuthenticationToken")
}

func TestTransportErrors(t *testing.T) {
	r := newRig(t)
	r.server.FailAlways(certtokentest.Fault{Code: 7000277})
	_, err := r.httpClient().Get(apiURL)
	var te *certtoken.TokenError
	require.ErrorAs(t, err, &te)
	assert.Equal(t, []int{7000277}, te.AADSTS)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
	require.NoError(t, err)
	_, err = r.httpClient().Do(req)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTransportClosesIdleConnectionsOfItsBase(t *testing.T) {
	r := newRig(t)
	base := new(idleCloser)
	(&http.Client{Transport: r.client.Transport(base, apiScope)}).CloseIdleConnections()
	assert.Equal(t, 1, base.closed)
}

type idleCloser struct {
	http.Transport
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestTokenSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		source := r.client.TokenSource(graph)
		tok, err := source.Token()
		require.NoError(t, err)
		direct := r.hit(t, graph)
		assert.Equal(t, direct.AccessToken(), tok.AccessToken)
		assert.Equal(t, "Bearer", tok.TokenType)
		assert.True(t, tok.Expiry.Equal(direct.ExpiresAt()))
		assert.Equal(t, graph, tok.Extra("scope"))
		assert.EqualValues(t, 3600, tok.Extra("ext_expires_in"))
		assert.True(t, tok.Valid())
		again, err := source.TokenContext(t.Context())
		require.NoError(t, err)
		assert.Same(t, tok, again)
		assert.Equal(t, 1, r.server.Count())

		other, err := r.client.TokenSource("  " + graph + " ").Token()
		require.NoError(t, err)
		assert.Equal(t, tok.AccessToken, other.AccessToken)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = r.client.TokenSource(vault).TokenContext(ctx)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

// The way that the documentation recommends: renewed behind the caller.
func TestTokenSourceInOAuth2Transport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		newAPI(r)
		hc := &http.Client{
			Transport: &oauth2.Transport{Source: r.client.TokenSource(apiScope), Base: r.server.Transport()},
		}
		start := time.Now()
		r.server.FailAlways(certtokentest.Fault{Delay: 2 * time.Second})
		resp, err := hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, 2*time.Second, time.Since(start), "the first waits")
		for range 5 * 60 {
			time.Sleep(time.Minute)
			before := time.Now()
			resp, err := hc.Get(apiURL)
			require.Equal(t, 200, status(t, resp, err))
			require.Zero(t, time.Since(before), "a caller waited")
		}
		assert.InDelta(t, 7, r.server.Count(), 2)
		time.Sleep(2 * time.Second)
	})
}

// The pitfall: oauth2.NewClient sits on a token until 10 s before its end, and
// never lets renewal happen behind a caller.
func TestTokenSourceInOAuth2NewClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		newAPI(r)
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, r.server.Client())
		hc := oauth2.NewClient(ctx, r.client.TokenSource(apiScope))
		resp, err := hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		time.Sleep(59 * time.Minute)
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		synctest.Wait()
		assert.Equal(t, 1, r.server.Count(), "no renewal was started")
		r.server.FailAlways(certtokentest.Fault{Delay: 2 * time.Second})
		time.Sleep(time.Minute)
		start := time.Now()
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		assert.Equal(t, 2*time.Second, time.Since(start), "so a caller waits")
	})
}

func TestTokenSourceErrors(t *testing.T) {
	r := newRig(t)
	r.server.FailAlways(certtokentest.Fault{Code: 700016, Description: "who are you"})
	_, err := r.client.TokenSource(graph).Token()
	var retrieve *oauth2.RetrieveError
	require.ErrorAs(t, err, &retrieve)
	assert.Equal(t, "unauthorized_client", retrieve.ErrorCode)
	assert.Contains(t, retrieve.ErrorDescription, "who are you")
	assert.Equal(t, 400, retrieve.Response.StatusCode)
	assert.Empty(t, retrieve.Body)
	assert.NotPanics(t, func() { _ = retrieve.Error() })
	var te *certtoken.TokenError
	require.ErrorAs(t, err, &te)
	assert.Equal(t, []int{700016}, te.AADSTS)
	_, direct := r.client.Token(t.Context(), graph)
	assert.Equal(t, te.Code, func() string { errors.As(direct, &te); return te.Code }())

	_, err = r.client.TokenSource(`bad"scope`).Token()
	require.ErrorContains(t, err, "scope")
	assert.False(t, errors.As(err, &retrieve), "the endpoint wasn't asked")
}

// Handles of one key share its token, from many goroutines.
func TestManyHandles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Second})
		shared := r.client.TokenSource(graph)
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				source := shared
				if i%2 == 0 {
					source = r.client.TokenSource(graph)
				}
				for range 100 {
					tok, err := source.Token()
					if !assert.NoError(t, err) {
						return
					}
					mu.Lock()
					seen[tok.AccessToken] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		assert.Len(t, seen, 1)
		assert.Equal(t, 1, r.server.Count(), fmt.Sprint(seen))
	})
}
