package certtoken_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const dpopAPI = "https://api.example/things?page=1"

// dpopRig is a server that takes proofs, an API on it, and a client with a key.
type dpopRig struct {
	server *certtokentest.Server
	api    *certtokentest.Resource
	cert   *certtoken.Certificate
	client *certtoken.Client
	wire   *sentKeeper
}

func newDPoPRig(
	t testing.TB, rules certtokentest.DPoPRules, opts []certtokentest.Option, more ...certtoken.Option,
) *dpopRig {
	t.Helper()
	opts = append([]certtokentest.Option{certtokentest.WithIssuer(""), certtokentest.WithDPoP(rules)}, opts...)
	r := &dpopRig{server: certtokentest.New(opts...),
		cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
	r.server.Register(appID, r.cert.Leaf)
	r.api = r.server.Resource("read", nil)
	r.server.Handle("api.example/", r.api)
	r.wire = &sentKeeper{next: r.server.Transport()}
	r.client = r.newClient(t, nil, more...)
	return r
}

func (r *dpopRig) newClient(t testing.TB, opts []certtoken.AuthorityOption,
	more ...certtoken.Option) *certtoken.Client {
	t.Helper()
	authority := r.server.Authority(append(opts, certtoken.WithDPoP())...)
	client, err := certtoken.NewClient(authority, appID, r.cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(r.server.Client())}, more...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// http sends requests with the client's token, which are recorded.
func (r *dpopRig) http() *http.Client {
	return &http.Client{Transport: r.client.Transport(r.wire, "read")}
}

// sentKeeper keeps the requests that pass through it.
type sentKeeper struct {
	next http.RoundTripper
	mu   sync.Mutex
	sent []*http.Request
}

func (r *sentKeeper) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.sent = append(r.sent, req.Clone(context.Background()))
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

func (r *sentKeeper) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// claimsOf are the claims of a JWT that isn't verified.
func claimsOf(t testing.TB, compact string) jwt.MapClaims {
	t.Helper()
	var claims jwt.MapClaims
	_, _, err := jwt.NewParser().ParseUnverified(compact, &claims)
	require.NoError(t, err)
	return claims
}

func statusOf(t testing.TB, resp *http.Response, err error) int {
	t.Helper()
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func TestDPoPToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{Required: true}, nil)
		tok, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.Equal(t, "DPoP", tok.Type())
		method, thumbprint := tok.Confirmation()
		assert.Equal(t, "jkt", method)
		assert.Equal(t, map[string]any{"jkt": thumbprint}, claimsOf(t, tok.AccessToken())["cnf"])
		assert.Equal(t, 1, r.server.Count())

		proof := claimsOf(t, r.server.LastRequest().Header.Get("DPoP"))
		assert.ElementsMatch(t, []string{"jti", "htm", "htu", "iat"}, slices.Collect(maps.Keys(proof)))
		assert.Equal(t, "POST", proof["htm"])
		assert.Equal(t, r.server.TokenURL(), proof["htu"])

		hc := r.http()
		for range 2 {
			resp, err := hc.Get(dpopAPI)
			assert.Equal(t, 200, statusOf(t, resp, err))
			assert.Empty(t, resp.Request.Header.Get("DPoP"), "the caller's request is as it was")
			assert.Empty(t, resp.Request.Header.Get("Authorization"))
		}
		sent := r.wire.requests()
		require.Len(t, sent, 2)
		assert.Equal(t, "DPoP "+tok.AccessToken(), sent[0].Header.Get("Authorization"))
		first, second := claimsOf(t, sent[0].Header.Get("DPoP")), claimsOf(t, sent[1].Header.Get("DPoP"))
		assert.NotEqual(t, first["jti"], second["jti"])
		assert.Equal(t, "GET", first["htm"])
		assert.Equal(t, "https://api.example/things", first["htu"])
		assert.NotEmpty(t, first["ath"])

		other := r.newClient(t, nil)
		tok2, err := other.Token(t.Context(), "read")
		require.NoError(t, err)
		_, thumbprint2 := tok2.Confirmation()
		assert.NotEqual(t, thumbprint, thumbprint2, "each client has a key of its own")
	})
}

// A demand for a nonce is answered with a new proof and a new assertion, and callers see
// nothing of it.
func TestDPoPNonceAtTheTokenEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newDPoPRig(t, certtokentest.DPoPRules{Nonces: true}, nil,
			certtoken.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		_, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		requests := r.server.Requests()
		require.Len(t, requests, 2)
		assert.Equal(t, "use_dpop_nonce", requests[0].Error)
		assert.NotEqual(t, requests[0].AssertionClaims["jti"], requests[1].AssertionClaims["jti"])
		assert.NotEmpty(t, claimsOf(t, requests[1].Header.Get("DPoP"))["nonce"])
		assert.NotContains(t, log.String(), "WARN")

		_, err = r.client.Token(t.Context(), "write")
		require.NoError(t, err)
		assert.Equal(t, 3, r.server.Count(), "the nonce is remembered")

		r.server.ExpireNonces()
		_, err = r.client.Token(t.Context(), "write", "read")
		require.NoError(t, err)
		assert.Equal(t, 5, r.server.Count())

		time.Sleep(6 * time.Minute) // the server has another nonce by now, and takes the one before
		_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
		require.NoError(t, err)
		assert.Equal(t, 6, r.server.Count())
		before := claimsOf(t, r.server.LastRequest().Header.Get("DPoP"))["nonce"]
		_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
		require.NoError(t, err)
		assert.NotEqual(t, before, claimsOf(t, r.server.LastRequest().Header.Get("DPoP"))["nonce"],
			"the newest nonce is that of the last answer, which granted a token")
	})
}

// A code that can be redeemed once is sent again with the nonce: the first request didn't
// redeem it.
func TestDPoPNonceOfAGrantThatIsRedeemedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{Nonces: true, Required: true}, nil)
		code := r.server.AuthorizationCode(signIn("read"))
		tok, err := r.client.Acquire(t.Context(), certtoken.Request{
			Grant: certtoken.AuthorizationCode(code, callback, verifier),
		})
		require.NoError(t, err)
		assert.Equal(t, "DPoP", tok.Type())
		assert.Equal(t, 2, r.server.Count())
	})
}

// inTurn is an endpoint that gives one answer after the other, and the last one for ever.
type inTurn struct {
	mu    sync.Mutex
	list  []answerOf
	asked []*http.Request
}

type answerOf struct {
	status int
	header http.Header
	body   string
}

func (a *inTurn) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.list[min(len(a.asked), len(a.list)-1)]
	a.asked = append(a.asked, req)
	header := next.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{
		StatusCode: next.status, Header: header, Body: io.NopCloser(strings.NewReader(next.body)), Request: req,
		ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func dpopClientOf(t testing.TB, rt http.RoundTripper, opts ...certtoken.AuthorityOption) *certtoken.Client {
	t.Helper()
	authority := certtoken.Issuer("https://as.example", "https://as.example/token",
		append(opts, certtoken.WithDPoP())...)
	client, err := certtoken.NewClient(authority, appID, freeCertificate(t),
		certtoken.WithHTTPClient(&http.Client{Transport: rt}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func TestDPoPAnswersThatAreRefused(t *testing.T) {
	nonce := func(n string) http.Header { return http.Header{"Dpop-Nonce": {n}} }
	demand := `{"error":"use_dpop_nonce"}`
	const granted = `{"access_token":"t","token_type":"%s","expires_in":60}`
	for name, c := range map[string]struct {
		answers []answerOf
		opts    []certtoken.AuthorityOption
		asked   int
		err     string // "": a token
	}{
		"DPoP":         {answers: []answerOf{{200, nil, fmt.Sprintf(granted, "DPoP")}}, asked: 1},
		"another case": {answers: []answerOf{{200, nil, fmt.Sprintf(granted, "dpop")}}, asked: 1},
		"Bearer": {
			answers: []answerOf{{200, nil, fmt.Sprintf(granted, "Bearer")}}, asked: 1, err: "ignored the DPoP proof",
		},
		"Bearer, where odd names mean Bearer": {
			answers: []answerOf{{200, nil, fmt.Sprintf(granted, "bearer")}}, asked: 1, err: "ignored the DPoP proof",
			opts: []certtoken.AuthorityOption{certtoken.WithTokenType("Bearer")},
		},
		"an odd name": {
			answers: []answerOf{{200, nil, fmt.Sprintf(granted, "access_token")}}, asked: 1, err: "DPoP was asked for",
			opts: []certtoken.AuthorityOption{certtoken.WithTokenType("Bearer")},
		},
		"no type": {answers: []answerOf{{200, nil, `{"access_token":"t"}`}}, asked: 1, err: "ignored the DPoP proof"},
		"a nonce": {
			answers: []answerOf{{400, nonce("a"), demand}, {200, nil, fmt.Sprintf(granted, "DPoP")}}, asked: 2,
		},
		"a nonce with 401": {
			answers: []answerOf{{401, nonce("a"), demand}, {200, nil, fmt.Sprintf(granted, "DPoP")}}, asked: 2,
		},
		"one nonce after the other": {
			answers: []answerOf{{400, nonce("a"), demand}, {400, nonce("b"), demand}}, asked: 2, err: "use_dpop_nonce",
		},
		"no nonce": {answers: []answerOf{{400, nil, demand}}, asked: 1, err: "use_dpop_nonce"},
		"the same nonce": {
			answers: []answerOf{{400, nonce("a"), demand}, {400, nonce("a"), demand}}, asked: 2, err: "use_dpop_nonce",
		},
		"two nonces": {
			answers: []answerOf{{400, http.Header{"Dpop-Nonce": {"a", "b"}}, demand}}, asked: 1, err: "use_dpop_nonce",
		},
		"a bad proof, and a clock that is off": {
			answers: []answerOf{
				{400, http.Header{"Date": {"Sat, 01 Jan 2000 00:02:00 GMT"}}, `{"error":"invalid_dpop_proof"}`},
				{200, nil, fmt.Sprintf(granted, "DPoP")},
			}, asked: 2,
		},
		"a bad proof, and a Date that can't be right": {
			answers: []answerOf{
				{400, http.Header{"Date": {"Sat, 01 Jan 2000 01:00:00 GMT"}}, `{"error":"invalid_dpop_proof"}`},
			}, asked: 1, err: "invalid_dpop_proof",
		},
		"a bad proof, and the clock is right": {
			answers: []answerOf{
				{400, http.Header{"Date": {"Sat, 01 Jan 2000 00:00:03 GMT"}}, `{"error":"invalid_dpop_proof"}`},
			}, asked: 1, err: "invalid_dpop_proof",
		},
		"a bad proof": {
			answers: []answerOf{{400, nil, `{"error":"invalid_dpop_proof"}`}}, asked: 1, err: "this machine's clock",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				rt := &inTurn{list: c.answers}
				_, err := dpopClientOf(t, rt, c.opts...).Token(t.Context(), "read")
				assert.Len(t, rt.asked, c.asked)
				if c.err == "" {
					assert.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, c.err)
				for _, req := range rt.asked {
					assert.NotContains(t, err.Error(), req.Header.Get("DPoP"))
				}
			})
		})
	}
	bubble(t, func(t *testing.T) {
		rt := &inTurn{list: []answerOf{{200, nil, fmt.Sprintf(granted, "Bearer")}}}
		_, err := dpopClientOf(t, rt).Token(t.Context(), "read")
		assert.ErrorIs(t, err, certtoken.ErrBadResponse)
	})
}

// The times of proofs follow the endpoint's clock, at the endpoint and at the API.
func TestDPoPFollowsTheClock(t *testing.T) {
	for _, ahead := range []time.Duration{-4 * time.Minute, -20 * time.Second, 0, 29 * time.Second, 4 * time.Minute} {
		t.Run(ahead.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var corrected []time.Duration
				rules := certtokentest.DPoPRules{Required: true, Past: 25 * time.Second, Future: 15 * time.Second}
				r := newDPoPRig(t, rules, []certtokentest.Option{certtokentest.WithClockOffset(ahead)},
					certtoken.WithHooks(certtoken.Hooks{ClockCorrected: func(e certtoken.Event) {
						corrected = append(corrected, e.Offset)
					}}))
				for range 2 {
					resp, err := r.http().Get(dpopAPI)
					assert.Equal(t, 200, statusOf(t, resp, err))
				}
				assert.LessOrEqual(t, r.server.Count(), 2)
				if ahead == 0 {
					assert.Empty(t, corrected)
				} else {
					assert.Len(t, corrected, 1)
				}
			})
		})
	}
}

// A bad proof at a server without Date, as Keycloak, is an error without another request.
func TestDPoPWithoutDate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{Required: true}, []certtokentest.Option{
			certtokentest.WithClockOffset(-20 * time.Second), certtokentest.WithoutDate(),
		})
		_, err := r.client.Token(t.Context(), "read")
		var te *certtoken.TokenError
		require.ErrorAs(t, err, &te)
		assert.Equal(t, "invalid_dpop_proof", te.Code)
		assert.Equal(t, 1, r.server.Count())
	})
}

// An API that asks for nonces: one repetition, then the newest nonce of each answer.
func TestDPoPNonceOfAnAPI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{Required: true, ResourceNonces: true}, nil)
		hc := r.http()
		post := func(body io.Reader) int {
			resp, err := hc.Post(dpopAPI, "text/plain", body)
			return statusOf(t, resp, err)
		}
		assert.Equal(t, 200, post(strings.NewReader("body")))
		assert.Len(t, r.wire.requests(), 2)
		assert.Equal(t, 200, post(strings.NewReader("body")))
		assert.Len(t, r.wire.requests(), 3)
		r.api.ExpireNonces()
		assert.Equal(t, 401, post(io.MultiReader(strings.NewReader("can't be read again"))))
		assert.Len(t, r.wire.requests(), 4)
		assert.Equal(t, 200, post(io.MultiReader(strings.NewReader("can't be read again"))), "the nonce is known now")
		r.api.ExpireNonces()
		assert.Equal(t, 200, post(nil))
		assert.Equal(t, 1, r.server.Count(), "no other token was asked for")
	})
}

// A demand for a nonce says nothing of the token: none is acquired, not even by a Transport
// that does so on every 401.
func TestDPoPNonceIsNoReasonToRenew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{ResourceNonces: true}, nil)
		hc := &http.Client{Transport: &certtoken.Transport{
			Client: r.client, Base: r.wire, Request: certtoken.Request{Scopes: []string{"read"}}, RenewOn401: true,
		}}
		resp, err := hc.Post(dpopAPI, "text/plain", io.MultiReader(strings.NewReader("can't be read again")))
		assert.Equal(t, 401, statusOf(t, resp, err))
		assert.Equal(t, 1, r.server.Count())
	})
}

// A proof names the host that the server sees.
func TestDPoPUnderAnotherHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://10.0.0.1:8443/things", nil)
		require.NoError(t, err)
		req.Host = "api.example"
		resp, err := r.http().Do(req)
		assert.Equal(t, 200, statusOf(t, resp, err))
		assert.Equal(t, "https://api.example/things", claimsOf(t, r.wire.requests()[0].Header.Get("DPoP"))["htu"])
	})
}

// Bodies are sent whole each time.
func TestDPoPRepeatsTheBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{ResourceNonces: true}, nil)
		var bodies []string
		r.server.Handle("echo.example/", r.server.Resource("read", http.HandlerFunc(
			func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				bodies = append(bodies, string(body))
			})))
		resp, err := r.http().Post("https://echo.example/", "text/plain", strings.NewReader("whole"))
		assert.Equal(t, 200, statusOf(t, resp, err))
		assert.Equal(t, []string{"whole"}, bodies)
	})
}

// An API that always asks for another nonce has each request twice, and no more.
func TestDPoPNonceWithoutEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		n := 0
		r.server.Handle("greedy.example/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n++
			w.Header().Set("DPoP-Nonce", fmt.Sprint("nonce-", n))
			w.Header().Set("WWW-Authenticate", `Bearer realm="x", DPoP error="use_dpop_nonce", algs="ES256"`)
			w.WriteHeader(401)
		}))
		resp, err := r.http().Get("https://greedy.example/")
		assert.Equal(t, 401, statusOf(t, resp, err))
		assert.Equal(t, 2, n)
		assert.Equal(t, 1, r.server.Count())
		resp, err = r.http().Get("https://other.example/")
		require.NoError(t, err)
		resp.Body.Close()
		assert.NotContains(t, claimsOf(t, r.wire.requests()[2].Header.Get("DPoP")), "nonce", "a nonce is one host's")
	})
}

// A token that the API refuses is renewed as a Bearer token is, whichever challenge says so.
func TestDPoPTokenIsRenewed(t *testing.T) {
	for name, challenge := range map[string]string{
		"DPoP":            `DPoP error="invalid_token", algs="ES256"`,
		"Bearer and DPoP": `Bearer realm="x", DPoP error="invalid_token", algs="ES256"`,
		"Bearer":          `Bearer error="invalid_token"`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newDPoPRig(t, certtokentest.DPoPRules{ResourceNonces: true}, nil)
				r.api.Fail(certtokentest.Fault{Status: 401, Header: http.Header{"Www-Authenticate": {challenge}}})
				resp, err := r.http().Get(dpopAPI)
				assert.Equal(t, 200, statusOf(t, resp, err))
				assert.Equal(t, 2, r.server.CountGranted())
				sent := r.wire.requests()
				require.Len(t, sent, 3, "refused, without a nonce, with one")
				assert.NotEqual(t, sent[0].Header.Get("Authorization"), sent[1].Header.Get("Authorization"))
			})
		})
	}
}

// An assertion is sent alone, so a DPoP token can't be one.
func TestDPoPTokenIsNoAssertion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		client, err := certtoken.NewFederatedClient(r.server.Authority(), appID, r.client.AssertionSource("read"),
			certtoken.WithHTTPClient(r.server.Client()))
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), "read")
		assert.ErrorContains(t, err, "without WithDPoP")
		assert.Zero(t, r.server.Count())
	})
}

// Neither token nor proof goes to http or to another host, and each hop of a redirect has a
// proof of its own.
func TestDPoPGoesNowhereElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		seen := make(map[string]http.Header)
		r.server.Handle("from.example/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			seen["from"+req.URL.Path] = req.Header.Clone()
			to := map[string]string{
				"/same": "https://from.example/landed", "/other": "https://evil.example/",
				"/plain": "http://from.example/landed",
			}
			if target, ok := to[req.URL.Path]; ok {
				http.Redirect(w, req, target, http.StatusFound)
			}
		}))
		r.server.Handle("evil.example/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			seen["evil"] = req.Header.Clone()
			w.Header().Set("DPoP-Nonce", "evil")
		}))
		hc := r.http()
		for _, path := range []string{"/same", "/other", "/plain"} {
			clear(seen)
			resp, err := hc.Get("https://from.example" + path)
			assert.Equal(t, 200, statusOf(t, resp, err))
			assert.Equal(t, path, mapOf(claimsOf(t, seen["from"+path].Get("DPoP")))["path"])
			switch path {
			case "/same":
				assert.Equal(t, "/landed", mapOf(claimsOf(t, seen["from/landed"].Get("DPoP")))["path"])
			case "/plain":
				assert.Empty(t, seen["from/landed"].Get("DPoP")+seen["from/landed"].Get("Authorization"))
			case "/other":
				assert.Empty(t, seen["evil"].Get("DPoP")+seen["evil"].Get("Authorization"))
			}
		}
		sent := len(r.wire.requests())
		_, err := hc.Get("http://api.example/")
		require.ErrorContains(t, err, "https only")
		only := &http.Client{Transport: &certtoken.Transport{
			Client: r.client, Base: r.wire, Request: certtoken.Request{Scopes: []string{"read"}},
			Hosts: []string{"api.example"},
		}}
		_, err = only.Get("https://evil.example/")
		require.ErrorContains(t, err, "evil.example")
		assert.Len(t, r.wire.requests(), sent)
	})
}

// mapOf is the path of a proof's URL.
func mapOf(claims jwt.MapClaims) map[string]string {
	u, _ := url.Parse(fmt.Sprint(claims["htu"]))
	return map[string]string{"path": u.Path}
}

// What would send the token without a proof refuses, and says what to do.
func TestDPoPTokenAloneIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		source := r.client.TokenSource("read")
		for range 2 {
			_, err := source.Token()
			require.ErrorContains(t, err, "Client.Proof")
			_, err = source.TokenContext(t.Context())
			require.ErrorContains(t, err, "Client.Transport")
			_, err = r.client.Token(t.Context(), "read") // then the cache has it
			require.NoError(t, err)
		}
		_, err := r.client.TokenSourceFor(certtoken.Request{Scopes: []string{"read"}})
		require.ErrorContains(t, err, "Client.Proof")
		tok, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, dpopAPI, nil)
		require.NoError(t, err)
		require.ErrorContains(t, tok.SetAuthHeader(req), "Client.Proof")
		assert.Empty(t, req.Header)
	})
}

func TestProofForOtherHTTPClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{ResourceNonces: true}, nil)
		tok, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		get := func() *http.Response {
			proof, err := r.client.Proof(tok, http.MethodGet, dpopAPI)
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, dpopAPI, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "DPoP "+tok.AccessToken())
			req.Header.Set("DPoP", proof)
			resp, err := r.server.Client().Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			return resp
		}
		resp := get()
		assert.Equal(t, 401, resp.StatusCode)
		assert.True(t, r.client.NoteNonce(resp))
		resp = get()
		assert.Equal(t, 200, resp.StatusCode)
		assert.False(t, r.client.NoteNonce(resp))
		assert.False(t, r.client.NoteNonce(nil))
		assert.False(t, r.client.NoteNonce(new(http.Response)))

		for bad, want := range map[string]string{
			"http://api.example/": "https only", "mailto:a@b.example": "https only", "https:///x": "no scheme and host",
			":": "can't be read", "": "https only",
		} {
			_, err := r.client.Proof(tok, http.MethodGet, bad)
			assert.ErrorContains(t, err, want, bad)
		}
		for _, none := range []*certtoken.Token{nil, new(certtoken.Token)} {
			_, err := r.client.Proof(none, http.MethodGet, dpopAPI)
			assert.ErrorContains(t, err, "not a DPoP token")
			method, thumbprint := none.Confirmation()
			assert.Empty(t, method+thumbprint)
		}
		_, err = new(certtoken.Client).Proof(tok, http.MethodGet, dpopAPI)
		assert.Error(t, err)
		bearer, err := newRig(t).client.Proof(tok, http.MethodGet, dpopAPI)
		assert.ErrorContains(t, err, "WithDPoP")
		assert.Empty(t, bearer)
	})
}

// Other processes don't have the key, so tokens stay out of the store.
func TestDPoPTokensAreNotStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		spy := &spyStore{Store: certtoken.NewMemoryStore()}
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil, certtoken.WithStore(spy, storeSecret))
		other := r.newClient(t, nil, certtoken.WithStore(spy, storeSecret))
		for _, client := range []*certtoken.Client{r.client, other, r.client} {
			_, err := client.Token(t.Context(), "read")
			require.NoError(t, err)
			_, err = client.Acquire(t.Context(), certtoken.Request{
				Scopes: []string{"read"}, Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID)),
			})
			require.NoError(t, err)
		}
		assert.Empty(t, spy.entries)
		assert.Equal(t, 4+1, r.server.CountGranted(), "each client has tokens of its own")
	})
}

// A source elsewhere is asked again when a nonce is demanded.
func TestDPoPOfAFederatedClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{Nonces: true, Required: true}, nil)
		idp := certtokentest.NewIdentityProvider("https://idp.example")
		r.server.Federate(appID, idp.Federation("workload", r.server.Issuer()))
		asked := 0
		source := certtoken.AssertionSourceFunc(func(_ context.Context, audience string) (string, error) {
			asked++
			return idp.Assertion("workload", audience, time.Minute), nil
		})
		client, err := certtoken.NewFederatedClient(r.server.Authority(certtoken.WithDPoP()), appID, source,
			certtoken.WithHTTPClient(r.server.Client()))
		require.NoError(t, err)
		defer client.Close()
		tok, err := client.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.Equal(t, "DPoP", tok.Type())
		assert.Equal(t, 2, asked)
	})
}

func TestDPoPAlgorithmOfTheMetadata(t *testing.T) {
	for _, c := range []struct {
		server []certtoken.Algorithm
		want   string
	}{
		{nil, "ES256"},
		{[]certtoken.Algorithm{certtoken.RS256, certtoken.ES256}, "ES256"},
		{[]certtoken.Algorithm{certtoken.RS256, certtoken.EdDSA}, "EdDSA"},
		{[]certtoken.Algorithm{certtoken.PS256}, "PS256"},
	} {
		t.Run(c.want, func(t *testing.T) {
			r := newDPoPRig(t, certtokentest.DPoPRules{Required: true, Algorithms: c.server}, nil)
			authority, err := certtoken.Discover(t.Context(), r.server.Issuer(),
				certtoken.WithDiscoveryClient(r.server.Client()),
				certtoken.WithDPoP())
			require.NoError(t, err)
			client, err := certtoken.NewClient(authority, appID, r.cert, certtoken.WithHTTPClient(r.server.Client()))
			require.NoError(t, err)
			defer client.Close()
			resp, err := (&http.Client{Transport: client.Transport(r.server.Transport(), "read")}).Get(dpopAPI)
			assert.Equal(t, 200, statusOf(t, resp, err))
			header, _, _ := strings.Cut(r.server.LastRequest().Header.Get("DPoP"), ".")
			data, err := base64.RawURLEncoding.DecodeString(header)
			require.NoError(t, err)
			var fields map[string]any
			require.NoError(t, json.Unmarshal(data, &fields))
			assert.Equal(t, c.want, fields["alg"])
			assert.Equal(t, "dpop+jwt", fields["typ"])
			assert.NotContains(t, fields["jwk"], "d")
		})
	}
	metadata := `{"issuer":"https://as.example","token_endpoint":"https://as.example/token",` +
		`"dpop_signing_alg_values_supported":["ES256K","XY512"]}`
	hc := &http.Client{Transport: &inTurn{list: []answerOf{{200, nil, metadata}}}}
	_, err := certtoken.Discover(t.Context(), "https://as.example",
		certtoken.WithDiscoveryClient(hc), certtoken.WithDPoP())
	require.ErrorContains(t, err, "ES256K, XY512")
	_, err = certtoken.Discover(t.Context(), "https://as.example", certtoken.WithDiscoveryClient(hc))
	assert.NoError(t, err, "without DPoP the list doesn't matter")
}

func TestDPoPWhereItCannotBe(t *testing.T) {
	for _, authority := range []certtoken.Authority{
		certtoken.Entra("contoso.com", certtoken.WithDPoP()), certtoken.ADFS("adfs.example", certtoken.WithDPoP()),
		certtoken.EntraB2C("contoso", "p", certtoken.WithDPoP()),
	} {
		_, err := certtoken.NewClient(authority, appID, freeCertificate(t))
		assert.ErrorContains(t, err, "WithDPoP is for servers by RFC 9449")
	}
}

// Both bindings at once: the certificate in TLS and the proof.
func TestDPoPOverTLSWithACertificate(t *testing.T) {
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""),
		certtokentest.WithDPoP(certtokentest.DPoPRules{Required: true, Nonces: true, ResourceNonces: true}))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	server.Handle("api.example/", server.Resource("read", nil))
	client, err := certtoken.NewClient(server.Authority(certtoken.WithTLSClientAuth(), certtoken.WithDPoP()), appID,
		cert,
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	hc := &http.Client{Transport: client.Transport(server.Transport(), "read")}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get(dpopAPI)
	assert.Equal(t, 200, statusOf(t, resp, err))
	tok, err := client.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, confirmationOf(cert), confirmed(t, tok))
	method, _ := tok.Confirmation()
	assert.Equal(t, "jkt", method)
}

// An error of the base transport shows neither the token nor the proof.
func TestDPoPErrorsHoldNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		var token, proof string
		leaking := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			token, proof = req.Header.Get("Authorization"), req.Header.Get("DPoP")
			return nil, errors.New("can't send " + token + " and " + proof)
		})
		_, err := (&http.Client{Transport: r.client.Transport(leaking, "read")}).Get(dpopAPI)
		require.ErrorContains(t, err, "can't send")
		assert.NotContains(t, err.Error(), strings.TrimPrefix(token, "DPoP "))
		assert.NotContains(t, err.Error(), proof)
		tok, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			for _, text := range []string{fmt.Sprintf(verb, tok), fmt.Sprintf(verb, *tok),
				fmt.Sprintf(verb, r.client)} {
				assert.NotContains(t, text, "PrivateKey")
			}
		}
	})
}

// A hit costs nothing more, with a key and without one.
func TestDPoPHitAllocatesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		ctx := t.Context()
		_, err := r.client.Token(ctx, "read")
		require.NoError(t, err)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = r.client.Token(ctx, "read") }))
	})
}

// Many requests at once, while nonces go stale.
func TestDPoPInManyGoroutines(t *testing.T) {
	r := newDPoPRig(t, certtokentest.DPoPRules{Required: true, Nonces: true, ResourceNonces: true}, nil)
	hc := r.http()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				resp, err := hc.Get(dpopAPI)
				assert.Equal(t, 200, statusOf(t, resp, err))
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, r.server.Count(), 2)
}

// The nonce that a proof had already is no reason to ask again.
func TestDPoPTheSameNonceAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		demand := answerOf{400, http.Header{"Dpop-Nonce": {"a"}}, `{"error":"use_dpop_nonce"}`}
		rt := &inTurn{list: []answerOf{
			demand, {200, nil, `{"access_token":"t","token_type":"DPoP","expires_in":60}`}, demand,
		}}
		client := dpopClientOf(t, rt)
		_, err := client.Token(t.Context(), "read")
		require.NoError(t, err)
		_, err = client.Token(t.Context(), "write")
		require.ErrorContains(t, err, "use_dpop_nonce")
		assert.Len(t, rt.asked, 3)
	})
}

// An error that holds the proof alone doesn't show it either.
func TestDPoPErrorsHoldNoProof(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newDPoPRig(t, certtokentest.DPoPRules{}, nil)
		var proof string
		leaking := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			proof = req.Header.Get("DPoP")
			return nil, errors.New("can't send " + proof)
		})
		_, err := (&http.Client{Transport: r.client.Transport(leaking, "read")}).Get(dpopAPI)
		require.ErrorContains(t, err, "can't send")
		assert.NotContains(t, err.Error(), proof)
	})
}
