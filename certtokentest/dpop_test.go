package certtokentest_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/jws"
)

const proofAPI = "https://api.example/things"

// prover is a client of a server with DPoP, and an API, that makes proofs by hand.
type prover struct {
	t      *testing.T
	server *certtokentest.Server
	api    *certtokentest.Resource
	cert   *certtoken.Certificate
	key    *dpop.Key
}

func newProver(t *testing.T, rules certtokentest.DPoPRules, opts ...certtokentest.Option) *prover {
	t.Helper()
	opts = append(opts, certtokentest.WithIssuer(""), certtokentest.WithDPoP(rules))
	p := &prover{t: t, server: certtokentest.New(opts...),
		cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
	p.server.Register("app", p.cert.Leaf)
	p.api = p.server.Resource("read", nil)
	p.server.Handle("api.example/", p.api)
	p.key = newProofKey(t)
	return p
}

func newProofKey(t *testing.T) *dpop.Key {
	t.Helper()
	key, err := dpop.NewKey(jws.ES256)
	require.NoError(t, err)
	return key
}

func (p *prover) prove(key *dpop.Key, c dpop.Claims) string {
	p.t.Helper()
	if c.Time.IsZero() {
		c.Time = time.Now()
	}
	proof, err := key.Prove(p.t.Context(), c)
	require.NoError(p.t, err)
	return proof
}

// forToken is a proof for the token endpoint.
func (p *prover) forToken(nonce string) string {
	return p.prove(p.key, dpop.Claims{Method: "POST", Target: p.server.TokenURL(), Nonce: nonce})
}

// post asks for a token with some headers DPoP.
func (p *prover) post(proofs ...string) (*http.Response, string) {
	p.t.Helper()
	assertion, err := certtoken.Assertion{ClientID: "app", Audience: p.server.Issuer()}.Sign(p.t.Context(), p.cert)
	require.NoError(p.t, err)
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "scope": {"read"},
		"client_assertion":      {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.server.TokenURL(),
		strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header["Dpop"] = proofs
	return p.do(req)
}

func (p *prover) do(req *http.Request) (*http.Response, string) {
	p.t.Helper()
	resp, err := p.server.Client().Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp, string(body)
}

// token is a DPoP token.
func (p *prover) token() string {
	p.t.Helper()
	resp, body := p.post(p.forToken(""))
	require.Equal(p.t, 200, resp.StatusCode, body)
	require.Contains(p.t, body, `"token_type":"DPoP"`)
	return p.server.LastRequest().AccessToken
}

// call calls the API.
func (p *prover) call(method, rawURL, authorization string, proofs ...string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, rawURL, nil)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", authorization)
	req.Header["Dpop"] = proofs
	resp, _ := p.do(req)
	return resp
}

func TestDPoPAtTheTokenEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProver(t, certtokentest.DPoPRules{})
		good := p.forToken("")
		other := newProofKey(t)
		for _, c := range []struct {
			name   string
			proofs []string
			status int
			says   string
		}{
			{"none", nil, 200, `"token_type":"Bearer"`},
			{"good", []string{good}, 200, `"token_type":"DPoP"`},
			{"replayed", []string{good}, 400, "used before"},
			{"two", []string{p.forToken(""), p.forToken("")}, 400, "one header DPoP"},
			{"no JWT", []string{"x"}, 400, "not a JWT"},
			{"another key's signature", []string{spliced(p.forToken(""), p.prove(other, dpop.Claims{Method: "POST"}))},
				400, "signature"},
			{"another method", []string{p.prove(p.key, dpop.Claims{Method: "GET", Target: p.server.TokenURL()})}, 400,
				"htm"},
			{"another URL", []string{p.prove(p.key, dpop.Claims{Method: "POST", Target: p.server.URL() + "/"})}, 400,
				"htu"},
			{"old", []string{p.prove(p.key, dpop.Claims{
				Method: "POST", Target: p.server.TokenURL(), Time: time.Now().Add(-61 * time.Second),
			})}, 400, "too old"},
			{"ahead", []string{p.prove(p.key, dpop.Claims{
				Method: "POST", Target: p.server.TokenURL(), Time: time.Now().Add(17 * time.Second),
			})}, 400, "future"},
		} {
			resp, body := p.post(c.proofs...)
			assert.Equal(t, c.status, resp.StatusCode, c.name)
			assert.Contains(t, body, c.says, c.name)
			if c.status == 400 {
				assert.Contains(t, body, `"error":"invalid_dpop_proof"`, c.name)
			}
			assert.Empty(t, resp.Header.Get("DPoP-Nonce"), c.name)
		}
		p.server.Reset()
		resp, _ := p.post(good)
		assert.Equal(t, 200, resp.StatusCode, "Reset forgets proofs too")
	})
}

// spliced is a proof with the signature of another.
func spliced(proof, other string) string {
	return proof[:strings.LastIndexByte(proof, '.')] + other[strings.LastIndexByte(other, '.'):]
}

func TestDPoPRequired(t *testing.T) {
	p := newProver(t, certtokentest.DPoPRules{Required: true, Algorithms: []certtoken.Algorithm{certtoken.PS256}})
	resp, body := p.post()
	assert.Equal(t, 400, resp.StatusCode)
	assert.Contains(t, body, "invalid_dpop_proof")
	resp, body = p.post(p.forToken(""))
	assert.Equal(t, 400, resp.StatusCode)
	assert.Contains(t, body, "PS256")
	_, body = p.do(httpGet(t, p.server.URL()+"/.well-known/oauth-authorization-server"))
	assert.Contains(t, body, `"dpop_signing_alg_values_supported":["PS256"]`)
}

func httpGet(t *testing.T, rawURL string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
	require.NoError(t, err)
	return req
}

func TestDPoPNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProver(t, certtokentest.DPoPRules{Nonces: true})
		resp, body := p.post(p.forToken(""))
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, body, `"error":"use_dpop_nonce"`)
		first := resp.Header.Get("DPoP-Nonce")
		require.NotEmpty(t, first)
		try := func(nonce string) int {
			resp, _ := p.post(p.forToken(nonce))
			assert.NotEmpty(t, resp.Header.Get("DPoP-Nonce"), "every answer has it")
			return resp.StatusCode
		}
		assert.Equal(t, 200, try(first))
		assert.Equal(t, 400, try("made up"))
		time.Sleep(9 * time.Minute)
		assert.Equal(t, 200, try(first), "the one before the newest")
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 400, try(first), "stale")
		resp, _ = p.post(p.forToken(""))
		newest := resp.Header.Get("DPoP-Nonce")
		assert.Equal(t, 200, try(newest))
		p.server.ExpireNonces()
		assert.Equal(t, 400, try(newest), "stale")
	})
}

// Attacks on an API: each with a token that is good with a proof of its own key for the very
// request.
func TestDPoPAtAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProver(t, certtokentest.DPoPRules{})
		token := p.token()
		claims := dpop.Claims{Method: "GET", Target: proofAPI, Token: token}
		with := func(change func(*dpop.Claims)) []string {
			c := claims
			change(&c)
			return []string{p.prove(p.key, c)}
		}
		good := p.prove(p.key, claims)
		for _, c := range []struct {
			name          string
			authorization string
			proofs        []string
			challenge     string // "": it is let through
		}{
			{"good", "DPoP " + token, []string{good}, ""},
			{"any case", "dpop " + token, with(func(*dpop.Claims) {}), ""},
			{"replayed", "DPoP " + token, []string{good}, "invalid_dpop_proof"},
			{"no proof", "DPoP " + token, nil, "invalid_dpop_proof"},
			{"two proofs", "DPoP " + token, append(with(func(*dpop.Claims) {}), with(func(*dpop.Claims) {})...),
				"invalid_dpop_proof"},
			{"as Bearer", "Bearer " + token, nil, "invalid_token"},
			{"as Bearer, with a proof", "Bearer " + token, with(func(*dpop.Claims) {}), "invalid_token"},
			{"another key", "DPoP " + token, []string{p.prove(newProofKey(t), claims)}, "invalid_dpop_proof"},
			{"another method", "DPoP " + token, with(func(c *dpop.Claims) { c.Method = "POST" }), "invalid_dpop_proof"},
			{"another URL", "DPoP " + token, with(func(c *dpop.Claims) { c.Target += "/1" }), "invalid_dpop_proof"},
			{"another host", "DPoP " + token, with(func(c *dpop.Claims) { c.Target = "https://b.example/things" }),
				"invalid_dpop_proof"},
			{"plain http", "DPoP " + token, with(func(c *dpop.Claims) { c.Target = "http://api.example/things" }),
				"invalid_dpop_proof"},
			{"another token", "DPoP " + token, with(func(c *dpop.Claims) { c.Token = "x" }), "invalid_dpop_proof"},
			{"no ath", "DPoP " + token, with(func(c *dpop.Claims) { c.Token = "" }), "invalid_dpop_proof"},
			{"old", "DPoP " + token, with(func(c *dpop.Claims) { c.Time = time.Now().Add(-2 * time.Minute) }),
				"invalid_dpop_proof"},
			{"no token of ours", "DPoP x", with(func(*dpop.Claims) {}), "invalid_token"},
		} {
			resp := p.call("GET", proofAPI+"?a=b", c.authorization, c.proofs...)
			header := resp.Header.Get("WWW-Authenticate")
			if c.challenge == "" {
				assert.Equal(t, 200, resp.StatusCode, c.name)
				continue
			}
			assert.Equal(t, 401, resp.StatusCode, c.name)
			assert.Contains(t, header, `error="`+c.challenge+`"`, c.name)
			assert.Contains(t, header, `algs="`, c.name)
			scheme, _, _ := strings.Cut(c.authorization, " ")
			assert.Contains(t, header, scheme+` realm="certtokentest", error=`, c.name)
		}
		resp := p.call("GET", proofAPI, "")
		assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "DPoP algs=")

		p.server.Revoke(token)
		resp = p.call("GET", proofAPI, "DPoP "+token, with(func(*dpop.Claims) {})...)
		assert.Contains(t, resp.Header.Get("WWW-Authenticate"), `DPoP realm="certtokentest", error="invalid_token"`)
	})
}

func TestDPoPNoncesOfAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProver(t, certtokentest.DPoPRules{ResourceNonces: true})
		token := p.token()
		call := func(nonce string) *http.Response {
			proof := p.prove(p.key, dpop.Claims{Method: "GET", Target: proofAPI, Token: token, Nonce: nonce})
			return p.call("GET", proofAPI, "DPoP "+token, proof)
		}
		resp := call("")
		assert.Equal(t, 401, resp.StatusCode)
		assert.Contains(t, resp.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`)
		nonce := resp.Header.Get("DPoP-Nonce")
		resp = call(nonce)
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, nonce, resp.Header.Get("DPoP-Nonce"))
		p.api.ExpireNonces()
		assert.Equal(t, 401, call(nonce).StatusCode, "stale")
	})
}

// A token says which key it is bound to, and a Bearer token is good without a proof.
func TestDPoPConfirmation(t *testing.T) {
	p := newProver(t, certtokentest.DPoPRules{})
	var claims jwt.MapClaims
	_, _, err := jwt.NewParser().ParseUnverified(p.token(), &claims)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"jkt": p.key.Thumbprint()}, maps.Clone(claims)["cnf"])
	resp, _ := p.post()
	require.Equal(t, 200, resp.StatusCode)
	token := p.server.LastRequest().AccessToken
	assert.Equal(t, 200, p.call("GET", proofAPI, "Bearer "+token).StatusCode)
	assert.Equal(t, 401, p.call("GET", proofAPI, "DPoP "+token).StatusCode)
}

func TestDPoPMistakes(t *testing.T) {
	for want, opts := range map[string][]certtokentest.Option{
		"add WithIssuer": {certtokentest.WithDPoP(certtokentest.DPoPRules{})},
		"negative":       {certtokentest.WithIssuer(""), certtokentest.WithDPoP(certtokentest.DPoPRules{Past: -1})},
		"unknown algorithm": {certtokentest.WithIssuer(""),
			certtokentest.WithDPoP(certtokentest.DPoPRules{Algorithms: []certtoken.Algorithm{"HS256"}})},
	} {
		_, err := certtokentest.Start(opts...)
		assert.ErrorContains(t, err, want)
	}
	certtokentest.New().ExpireNonces() // has none
}
