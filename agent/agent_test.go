package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func TestAppServiceAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		status, body := h.ask(t, appServiceRequest(goodSecret, graph))
		require.Equal(t, http.StatusOK, status, body)
		requests := h.endpoint.Requests()
		require.Len(t, requests, 1)
		assert.Equal(t, graph+"/.default", requests[0].Scope)
		assert.Equal(t, requests[0].AccessToken, body["access_token"])
		assert.Equal(t, "Bearer", body["token_type"])
		assert.Equal(t, graph, body["resource"])
		assert.Equal(t, "app-1", body["client_id"])
		require.IsType(t, "", body["expires_on"], "Rust and .NET take a string only")
		require.IsType(t, "", body["expires_in"], "the same field as expires_on in .NET")
		on, err := strconv.ParseInt(body["expires_on"].(string), 10, 64)
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(certtokentest.DefaultLifetime).Unix(), on)

		status, _ = h.ask(t, appServiceRequest(goodSecret, graph))
		assert.Equal(t, http.StatusOK, status)
		assert.Len(t, h.endpoint.Requests(), 1, "the second comes from the cache")
	})
}

// The fields stand in the order that .NET needs, which reads expires_in and expires_on
// into one.
func TestExpiresOnComesLast(t *testing.T) {
	text, err := json.Marshal(appServiceToken{})
	require.NoError(t, err)
	assert.Less(t, strings.Index(string(text), "expires_in"), strings.Index(string(text), "expires_on"))
}

func TestAppServiceRefusals(t *testing.T) {
	h := newHouse(t)
	change := func(f func(url.Values)) *http.Request {
		r := appServiceRequest(goodSecret, graph)
		query := r.URL.Query()
		f(query)
		r.URL.RawQuery = query.Encode()
		return r
	}
	post := appServiceRequest(goodSecret, graph)
	post.Method = http.MethodPost
	twice := appServiceRequest(goodSecret, graph)
	twice.Header.Add("X-IDENTITY-HEADER", wrong)
	odd := appServiceRequest(goodSecret, graph)
	odd.URL.RawQuery += ";x=%zz"
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
	}{
		"no secret":        {appServiceRequest("", graph), 401},
		"wrong secret":     {appServiceRequest(wrong, graph), 401},
		"another resource": {appServiceRequest(goodSecret, "https://management.azure.com"), 403},
		"a suffix":         {appServiceRequest(goodSecret, "https://x.vault.azure.net.evil"), 403},
		"a user":           {appServiceRequest(goodSecret, "https://evil@graph.microsoft.com"), 400},
		"a port":           {appServiceRequest(goodSecret, "https://graph.microsoft.com:8443"), 400},
		"no resource":      {change(func(q url.Values) { q.Del("resource") }), 400},
		"two resources":    {change(func(q url.Values) { q.Add("resource", "https://management.azure.com") }), 400},
		"no version":       {change(func(q url.Values) { q.Del("api-version") }), 400},
		"an old version":   {change(func(q url.Values) { q.Set("api-version", "2017-09-01") }), 400},
		"another identity": {change(func(q url.Values) { q.Set("client_id", "app-2") }), 401},
		"an object id":     {change(func(q url.Values) { q.Set("object_id", "1") }), 400},
		"a resource id":    {change(func(q url.Values) { q.Set("mi_res_id", "1") }), 400},
		"POST":             {post, 400},
		"two secrets":      {twice, 400},
		"a broken query":   {odd, 400},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := h.ask(t, tt.r)
			assert.Equal(t, tt.status, status, body)
			assert.InDelta(t, tt.status, body["statusCode"], 0)
			assert.NotEmpty(t, body["message"])
			assert.NotEmpty(t, body["correlationId"])
			assert.NotEmpty(t, body["error"])
			assert.NotEmpty(t, body["error_description"])
		})
	}
	assert.Empty(t, h.endpoint.Requests())
	assert.NotContains(t, h.log.String(), goodSecret)
	assert.NotContains(t, h.log.String(), wrong)
}

func TestOAuth(t *testing.T) {
	h, began := newHouse(t), time.Now()
	form := func(pairs ...string) url.Values {
		v := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"app-1"}, "client_secret": {goodSecret},
			"scope": {graph + "/.default"},
		}
		for i := 0; i < len(pairs); i += 2 {
			if v.Del(pairs[i]); pairs[i+1] != "" {
				v.Set(pairs[i], pairs[i+1])
			}
		}
		return v
	}
	basic := func(id, secret string, pairs ...string) *http.Request {
		r := oauthRequest(form(append([]string{"client_id", "", "client_secret", ""}, pairs...)...))
		r.SetBasicAuth(id, secret)
		return r
	}
	const base64Secret = "q8+Zr7/0mJ3x+Yw5uT1nKc4LhVbGd2Ee"
	id := h.identity()
	id.Callers = append(id.Callers, Secret("base64", base64Secret))
	require.NoError(t, h.Update([]Identity{id}))
	both := oauthRequest(form())
	both.SetBasicAuth("app-1", goodSecret)
	jsonBody := oauthRequest(form())
	jsonBody.Header.Set("Content-Type", "application/json")
	inQuery := oauthRequest(form())
	inQuery.URL.RawQuery = "scope=x"
	put, byGet := basic("app-1", goodSecret), basic("app-1", goodSecret)
	put.Method, byGet.Method = http.MethodPut, http.MethodGet
	bearer := oauthRequest(form("client_secret", ""))
	bearer.Header.Set("Authorization", "Bearer "+goodSecret)
	for name, tt := range map[string]struct {
		r      *http.Request
		status int
		code   string
	}{
		"post":                   {oauthRequest(form()), 200, ""},
		"basic":                  {basic("app-1", goodSecret), 200, ""},
		"basic, escaped":         {basic("app%2D1", "%30"+goodSecret[1:]), 200, ""},
		"basic, base64 as it is": {basic("app-1", base64Secret), 200, ""},
		"by name":                {oauthRequest(form("client_id", "billing")), 200, ""},
		"another case":           {oauthRequest(form("client_id", "APP-1")), 200, ""},
		"resource":               {oauthRequest(form("scope", "", "resource", graph)), 200, ""},
		"spaces":                 {oauthRequest(form("scope", " "+graph+"/.default  "+graph+"/.default ")), 200, ""},
		"spaces alone":           {oauthRequest(form("scope", "  ")), 400, "invalid_scope"},
		"a line end":             {oauthRequest(form("client_secret", goodSecret+"\r\n")), 200, ""},
		"wrong secret":           {oauthRequest(form("client_secret", wrong)), 401, "invalid_client"},
		"no secret":              {oauthRequest(form("client_secret", "")), 401, "invalid_client"},
		"wrong basic":            {basic("app-1", wrong), 401, "invalid_client"},
		"unknown client":         {oauthRequest(form("client_id", "app-2")), 401, "invalid_client"},
		"basic and post":         {both, 400, "invalid_request"},
		"bearer":                 {bearer, 401, "invalid_client"},
		"another grant":          {oauthRequest(form("grant_type", "password")), 400, "unsupported_grant_type"},
		"no grant":               {oauthRequest(form("grant_type", "")), 400, "invalid_request"},
		"another scope": {oauthRequest(form("scope", "https://management.azure.com/.default")), 400,
			"invalid_scope"},
		"two, one is allowed": {oauthRequest(form("scope", graph+"/.default orders.read")), 400, "invalid_scope"},
		"no scope":            {oauthRequest(form("scope", "")), 400, "invalid_scope"},
		"scope and resource":  {oauthRequest(form("resource", graph)), 400, "invalid_request"},
		"an assertion":        {oauthRequest(form("client_assertion", "x")), 400, "invalid_request"},
		"PUT":                 {put, 401, "invalid_client"},
		"GET":                 {byGet, 401, "invalid_client"},
		"JSON":                {jsonBody, 401, "invalid_client"},
		"query":               {inQuery, 401, "invalid_client"},
		"too large":           {oauthRequest(form("x", strings.Repeat("x", maxBody))), 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := h.ask(t, tt.r)
			require.Equal(t, tt.status, status, body)
			if tt.code != "" {
				assert.Equal(t, tt.code, body["error"])
				assert.NotContains(t, fmt.Sprint(body), goodSecret)
				return
			}
			assert.Equal(t, "Bearer", body["token_type"])
			assert.NotEmpty(t, body["access_token"])
			life := certtokentest.DefaultLifetime.Seconds()
			assert.LessOrEqual(t, body["expires_in"], life)
			assert.GreaterOrEqual(t, body["expires_in"], life-time.Since(began).Seconds()-2,
				"the token was granted once")
			assert.Equal(t, graph+"/.default", body["scope"])
		})
	}
	assert.Len(t, h.endpoint.Requests(), 1)
}

// Half of all clients escape the secret in an Authorization header, as RFC 6749 §2.3.1 wants
// it, and the others don't.
func TestSecretsWithSigns(t *testing.T) {
	h := newHouse(t)
	for _, secret := range []string{"ab+/Cd%2Bxyz0123456789+ABCDEFGH==", "50%-off:0123456789abcdef+%zz", goodSecret} {
		id := h.identity()
		id.Callers = []Caller{Secret("app", secret)}
		require.NoError(t, h.Update([]Identity{id}))
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {graph + "/.default"}}
		for name, shown := range map[string]string{
			"as it is": secret, "escaped": url.QueryEscape(secret),
		} {
			r := oauthRequest(form)
			r.SetBasicAuth("app-1", shown)
			status, body := h.ask(t, r)
			assert.Equal(t, http.StatusOK, status, "%s: %v", name, body)
		}
		r := oauthRequest(form)
		r.SetBasicAuth("app-1", url.QueryEscape(url.QueryEscape(secret+"+")))
		status, _ := h.ask(t, r)
		assert.Equal(t, http.StatusUnauthorized, status)
	}
}

// Who shows no secret where it is looked for is told where that is, and nothing else.
func TestWhereTheSecretBelongs(t *testing.T) {
	h := newHouse(t)
	post := func(change func(*http.Request)) *http.Request {
		r := oauthRequest(url.Values{"grant_type": {"password"}, "scope": {"some-text"}})
		change(r)
		return r
	}
	for want, r := range map[string]*http.Request{
		"there is no header X-IDENTITY-HEADER":                               appServiceRequest("", "some-text"),
		"there is no client_secret in the body, and no Authorization header": post(func(*http.Request) {}),
		"the body must be application/x-www-form-urlencoded": post(func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
		}),
		"the parameters belong into the body (RFC 6749 section 3.2)": post(func(r *http.Request) {
			r.URL.RawQuery = "client_secret=" + goodSecret
		}),
		"the Authorization header isn't Basic": post(func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+goodSecret)
		}),
		"this is asked by POST": post(func(r *http.Request) { r.Method = http.MethodGet }),
	} {
		status, body := h.ask(t, r)
		assert.Equal(t, http.StatusUnauthorized, status)
		assert.Equal(t, "invalid_client", body["error"])
		assert.Equal(t, wrongSecret+": "+want, body["error_description"])
	}
	assert.NotContains(t, h.log.String(), "some-text")
	assert.NotContains(t, h.log.String(), goodSecret)
}

// An identity with one scope is asked without it.
func TestTheOnlyScope(t *testing.T) {
	h := newHouse(t)
	id := h.identity()
	id.Scopes = []string{graph + "/.default"}
	require.NoError(t, h.Update([]Identity{id}))
	status, body := h.ask(t, oauthRequest(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app-1"}, "client_secret": {goodSecret},
	}))
	require.Equal(t, http.StatusOK, status, body)
	assert.Equal(t, graph+"/.default", body["scope"])
}

// What comes from web pages, from other machines and through proxies is refused though
// the secret is right.
func TestStrangers(t *testing.T) {
	h := newHouse(t)
	for name, change := range map[string]func(*http.Request){
		"origin":       func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"null origin":  func(r *http.Request) { r.Header.Set("Origin", "null") },
		"empty origin": func(r *http.Request) { r.Header["Origin"] = []string{""} },
		"fetch":        func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") },
		"fetch mode":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "no-cors") },
		"fetch of a page": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "cors")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Dest", "empty")
		},
		"preflight":        func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "GET") },
		"rebinding":        func(r *http.Request) { r.Host = "evil.example:40400" },
		"rebinding, short": func(r *http.Request) { r.Host = "evil.example" },
		"no host":          func(r *http.Request) { r.Host = "" },
		"another port":     func(r *http.Request) { r.Host = "127.0.0.1:40401" },
		"lookalike":        func(r *http.Request) { r.Host = "localhost.evil.example:40400" },
		"in numbers":       func(r *http.Request) { r.Host = "2130706433:40400" },
		"zero":             func(r *http.Request) { r.Host = "0.0.0.0:40400" },
		"zone":             func(r *http.Request) { r.Host = "[::1%25lo]:40400" },
		"forwarded":        func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") },
		"forwarded, RFC":   func(r *http.Request) { r.Header.Set("Forwarded", "for=10.0.0.1") },
		"via":              func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") },
		"other machine":    func(r *http.Request) { r.RemoteAddr = "10.0.0.1:55555" },
		"no address":       func(r *http.Request) { r.RemoteAddr = "" },
		"absolute": func(r *http.Request) {
			r.URL.Scheme, r.URL.Host = "http", "127.0.0.1:40400"
		},
		"double slash": func(r *http.Request) { r.URL.Path = "//msi/token" },
		"dots":         func(r *http.Request) { r.URL.Path = "/x/../msi/token" },
		"slash at end": func(r *http.Request) { r.URL.Path = "/msi/token/" },
		"escaped":      func(r *http.Request) { r.URL.RawPath = "/%6dsi/token" },
		"upper case":   func(r *http.Request) { r.URL.Path = "/MSI/token" },
		"IMDS":         func(r *http.Request) { r.URL.Path = "/metadata/identity/oauth2/token" },
		"root":         func(r *http.Request) { r.URL.Path = "/" },
	} {
		t.Run(name, func(t *testing.T) {
			r := appServiceRequest(goodSecret, graph)
			change(r)
			status, body := h.ask(t, r)
			assert.Contains(t, []int{400, 401, 403}, status)
			assert.NotContains(t, body, "access_token")
		})
	}
	remote := appServiceRequest(goodSecret, graph)
	remote = remote.WithContext(t.Context()) // nobody says which address it came to
	status, _ := h.ask(t, remote)
	assert.Equal(t, http.StatusForbidden, status)
	assert.Empty(t, h.endpoint.Requests())
}

func TestHostsOfThisMachine(t *testing.T) {
	h := newHouse(t)
	for _, host := range []string{"127.0.0.1:40400", "localhost:40400", "LOCALHOST:40400", "[::1]:40400",
		"127.0.0.1", "localhost", "[::1]"} {
		r := appServiceRequest(goodSecret, graph)
		r.Host = host
		status, body := h.ask(t, r)
		assert.Equal(t, http.StatusOK, status, body)
	}
}

// Node.js says one of the things that browsers say.
func TestFetchOfNode(t *testing.T) {
	h := newHouse(t)
	r := appServiceRequest(goodSecret, graph)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	status, body := h.ask(t, r)
	assert.Equal(t, http.StatusOK, status, body)
}

// A wrong secret costs its sender time, and nobody else.
func TestWrongSecretsAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		begin := time.Now()
		for range 20 {
			status, _ := h.ask(t, appServiceRequest(wrong, graph))
			require.Equal(t, http.StatusUnauthorized, status)
		}
		assert.Equal(t, 20*wrongDelay, time.Since(begin))

		begin = time.Now()
		cut := make(chan bool, 1000)
		for range 1000 {
			go func() {
				defer func() { cut <- recover() == http.ErrAbortHandler }()
				h.ask(t, appServiceRequest(wrong, graph))
			}()
		}
		synctest.Wait()
		assert.Len(t, cut, 1000-maxSlow, "more than that many aren't waited for")
		status, body := h.ask(t, appServiceRequest(goodSecret, graph))
		require.Equal(t, http.StatusOK, status, body)
		assert.Zero(t, time.Since(begin), "who shows a right secret waits for nobody")
		dropped := 0
		for range 1000 {
			if <-cut {
				dropped++
			}
		}
		assert.Equal(t, 1000-maxSlow, dropped, "the others' connections are closed without an answer")
		assert.Equal(t, wrongDelay, time.Since(begin))
		assert.Len(t, h.endpoint.Requests(), 1)
	})
}

// A token that is about to end is replaced, while the caller waits if need be.
func TestTokensLiveSixMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		first := h.token(t)
		time.Sleep(3599*time.Second - minLife - time.Second) // idle, so nothing renewed it
		assert.Equal(t, first, h.token(t), "it is valid for six minutes and a second")
		synctest.Wait() // the renewal behind the caller
		second := h.token(t)
		assert.NotEqual(t, first, second)
		time.Sleep(3599*time.Second - minLife + 2*time.Second)
		third := h.token(t)
		assert.NotEqual(t, second, third, "it was valid for less than six minutes")
	})
}

func (h *house) token(t *testing.T) string {
	t.Helper()
	status, body := h.ask(t, appServiceRequest(goodSecret, graph))
	require.Equal(t, http.StatusOK, status, body)
	return body["access_token"].(string)
}

// Where the renewal fails, what is valid is handed out, and not every caller waits.
func TestAValidTokenIsHandedOutWhileTheEndpointFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		first := h.token(t)
		h.failWith(&certtokentest.Fault{Delay: time.Hour})
		time.Sleep(3599*time.Second - minLife + 10*time.Second)
		begin := time.Now()
		assert.Equal(t, first, h.token(t))
		assert.Equal(t, patience, time.Since(begin))
		begin = time.Now()
		assert.Equal(t, first, h.token(t))
		assert.Zero(t, time.Since(begin), "the next doesn't wait")
		h.failWith(nil)
		time.Sleep(failPause + 30*time.Second)
		assert.NotEqual(t, first, h.token(t))
	})
}

// An endpoint that grants shorter tokens isn't asked at every call.
func TestShortTokensAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, certtokentest.WithTokenLifetime(5*time.Minute))
		h.token(t)
		asked := len(h.endpoint.Requests())
		require.LessOrEqual(t, asked, 2)
		for range 100 {
			time.Sleep(time.Second)
			h.token(t)
		}
		assert.Len(t, h.endpoint.Requests(), asked)
	})
}

func TestUpstreamRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		fault certtokentest.Fault
		code  string
		oauth int
	}{
		"refused":     {certtokentest.Fault{Code: 700016}, "unauthorized_client", 400},
		"scope":       {certtokentest.Fault{Code: 70011}, "invalid_scope", 400},
		"throttled":   {certtokentest.Throttle(time.Minute), "temporarily_unavailable", 503},
		"not a token": {certtokentest.Fault{Body: "<html>"}, "server_error", 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.failWith(&tt.fault)
				status, body := h.ask(t, appServiceRequest(goodSecret, graph))
				assert.Equal(t, http.StatusBadRequest, status, "no SDK repeats this")
				assert.Equal(t, tt.code, body["error"])
				status, body = h.ask(t, oauthRequest(url.Values{
					"grant_type": {"client_credentials"}, "client_id": {"app-1"}, "client_secret": {goodSecret},
					"scope": {graph + "/.default"},
				}))
				assert.Equal(t, tt.oauth, status)
				assert.Equal(t, tt.code, body["error"])
			})
		})
	}
}

// A token that is bound to the certificate is of no use to a caller.
func TestBoundTokensStay(t *testing.T) {
	server := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register("app-1", cert.Leaf)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com", certtoken.WithMTLSPoP()), "app-1", cert,
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	defer client.Close()
	h := newHouse(t)
	id := h.identity()
	id.Client = client
	require.NoError(t, h.Update([]Identity{id}))
	status, body := h.ask(t, appServiceRequest(goodSecret, graph))
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body["message"], "bound to the certificate")
	assert.NotContains(t, body, "access_token")
	assert.NotEmpty(t, server.Requests())
}

// The audit log says who got what, and where from.
func TestAudit(t *testing.T) {
	h := newHouse(t)
	status, body := h.ask(t, appServiceRequest(goodSecret, graph))
	require.Equal(t, http.StatusOK, status)
	h.ask(t, appServiceRequest(goodSecret, graph))
	h.ask(t, appServiceRequest(goodSecret, "https://management.azure.com"))
	h.ask(t, appServiceRequest(wrong, "https://secret-in-the-wrong-place.example.com"))
	records := h.log.records(t)
	require.Len(t, records, 4)
	for i, want := range []map[string]any{
		{"msg": "token granted", "caller": "app", "identity": "billing", "scope": graph + "/.default",
			"source": "fetched"},
		{"msg": "token granted", "caller": "app", "identity": "billing", "scope": graph + "/.default",
			"source": "cache"},
		{"msg": "token refused", "caller": "app", "identity": "billing",
			"scope":  "https://management.azure.com/.default",
			"reason": notAllowed},
		{"msg": "token refused", "reason": wrongSecret, "code": "invalid_client"},
	} {
		for key, value := range want {
			assert.Equal(t, value, records[i][key], "%d: %s", i, key)
		}
		assert.Equal(t, "127.0.0.1:55555", records[i]["from"])
	}
	assert.NotContains(t, h.log.String(), body["access_token"])
	assert.NotContains(t, h.log.String(), goodSecret)
	assert.NotContains(t, h.log.String(), wrong)
	assert.NotContains(t, h.log.String(), "wrong-place")
}

// Strangers can't fill the disk.
func TestAuditIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for range 1000 {
			h.ask(t, appServiceRequest("", graph))
		}
		assert.Len(t, h.log.records(t), strangersPerSecond)
		time.Sleep(time.Second)
		h.ask(t, appServiceRequest("", graph))
		records := h.log.records(t)
		require.Len(t, records, strangersPerSecond+2)
		assert.InDelta(t, 1000-strangersPerSecond, records[strangersPerSecond]["count"], 0)
	})
}

// The callers of an identity, and the identity that a caller means.
func TestIdentities(t *testing.T) {
	h := newHouse(t)
	h.endpoint.Register("app-2", h.cert.Leaf)
	first, second := h.identity(), h.identity()
	second.Name, second.ClientID, second.Client = "reports", "app-2", h.newClient(t, "app-2")
	second.Callers = append(second.Callers, Secret("other", otherSecret), User("www", 33), Group("ops", 1000))
	require.NoError(t, h.Update([]Identity{first, second}))

	ask := func(r *http.Request, id string) any {
		if id != "" {
			r.URL.RawQuery += "&client_id=" + id
		}
		_, body := h.ask(t, r)
		return body["client_id"]
	}
	assert.Equal(t, "app-1", ask(appServiceRequest(goodSecret, graph), ""), "the first that lists the caller")
	assert.Equal(t, "app-2", ask(appServiceRequest(otherSecret, graph), ""))
	assert.Equal(t, "app-2", ask(appServiceRequest(goodSecret, graph), "app-2"))
	assert.Equal(t, "app-2", ask(appServiceRequest(goodSecret, graph), "reports"))
	assert.Nil(t, ask(appServiceRequest(otherSecret, graph), "app-1"))

	peer := func(p *Peer) *http.Request { return overSocket(appServiceRequest("", graph), p) }
	assert.Equal(t, "app-2", ask(peer(&Peer{UID: 33, GID: 33}), ""))
	assert.Equal(t, "app-2", ask(peer(&Peer{UID: 34, GID: 1000}), ""))
	assert.Equal(t, "app-2", ask(peer(&Peer{UID: 34, GID: 34, Groups: []uint32{4, 1000}}), ""))
	assert.Nil(t, ask(peer(&Peer{UID: 0, GID: 0}), ""), "root isn't listed")
	assert.Nil(t, ask(peer(&Peer{UID: 1000, GID: 34}), ""))
	assert.Nil(t, ask(peer(nil), ""), "nobody says who asks")
	assert.Nil(t, ask(appServiceRequest("", graph), ""), "nobody is a user on TCP")
	assert.Equal(t, "app-1", ask(overSocket(appServiceRequest(goodSecret, graph), &Peer{UID: 7}), ""),
		"a secret counts on the socket too")

	second.Callers = []Caller{AnyoneOnSocket("socket")}
	require.NoError(t, h.Update([]Identity{second}))
	assert.Equal(t, "app-2", ask(peer(nil), ""))
	assert.Nil(t, ask(appServiceRequest("", graph), ""))
	assert.Nil(t, ask(appServiceRequest(goodSecret, graph), ""), "it isn't listed any more")
}

// Every mistake is told at once.
func TestMistakes(t *testing.T) {
	h := newHouse(t)
	_, err := New(Config{})
	require.ErrorContains(t, err, "no identity")
	good := h.identity()
	_, err = New(Config{Identities: []Identity{
		{}, {Name: "a b", ClientID: "x", Scopes: []string{"*"}, Callers: []Caller{{}}}, good, good,
		{Name: "weak", ClientID: "x", Client: h.client, Scopes: []string{"ok"}, Callers: []Caller{
			Secret("short", "0123456789abcdef"), Secret("hex", strings.Repeat("0123456789abcde", 2)),
			Secret("same", strings.Repeat("a", 64)), Secret("blank", goodSecret+" x"), Secret("", goodSecret),
			User("nobody", 65534), User("none", 1<<32-1),
		}},
	}})
	require.Error(t, err)
	for _, want := range []string{
		"identity 1: its name is empty", "identity 1: it has no ClientID", "identity 1: it has no Client",
		"identity 1: it lists no scope", "identity 1: it lists no caller",
		`identity "a b": its name`, `scope "*"`, "a caller is empty", `two identities have the name "billing"`,
		`caller "short": the secret has at most 64 bits`, `caller "hex": the secret has at most 120 bits`,
		`caller "same": the secret has 1 different characters`, `caller "blank": the secret has`,
		`caller "nobody": user 65534 stands for everybody`, `caller "none": user 4294967295`,
		"a caller has no name",
	} {
		assert.ErrorContains(t, err, want)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		assert.True(t, strings.HasPrefix(line, "certtoken: agent: "), line)
	}
	assert.NotContains(t, err.Error(), goodSecret)
	require.Error(t, h.Update(nil))
	assert.NotEmpty(t, h.token(t), "a bad update changes nothing")
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := Secret("app", goodSecret)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text = append(text, fmt.Sprintf(verb+verb, c, struct{ c Caller }{c})...)
	}
	assert.NotContains(t, string(text), goodSecret)
	assert.NotContains(t, string(text), fmt.Sprintf("%x", goodSecret))
	assert.Contains(t, string(text), "app")
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		status, body := h.ask(t, newRequest(http.MethodGet, "/healthz", ""))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "ok", body["status"])
		status, body = h.ask(t, newRequest(http.MethodGet, "/readyz", ""))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, true, body["ready"])

		now := time.Now()
		id := h.identity()
		ready := func(source certtoken.CertSource) (int, map[string]any) {
			id.Certificate = source
			require.NoError(t, h.Update([]Identity{id}))
			status, body := h.ask(t, newRequest(http.MethodGet, "/readyz", ""))
			return status, body["identities"].([]any)[0].(map[string]any)
		}
		within := func(from, to time.Duration) *certtoken.Certificate {
			return certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
				certtokentest.WithValidity(now.Add(from), now.Add(to)))
		}
		status, one := ready(within(-time.Hour, 13*24*time.Hour))
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, one["warning"], "ends at")
		status, one = ready(within(-time.Hour, -time.Minute))
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Contains(t, one["problem"], "expired")
		status, one = ready(certtoken.CertFile("/nowhere.pem"))
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Contains(t, one["problem"], "/nowhere.pem")
		status, one = ready(nil)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, map[string]any{"name": "billing"}, one)

		r := newRequest(http.MethodGet, "/readyz", "")
		r.Header.Set("Origin", "https://evil.example")
		status, body = h.ask(t, r)
		assert.Equal(t, http.StatusForbidden, status)
		assert.NotContains(t, body, "identities")
	})
}

// A source of the program's own that hangs, panics or ends its goroutine is a problem of its identity.
// The readiness comes, of the other identities too.
func TestHealthOfABadSource(t *testing.T) {
	hung := make(chan struct{})
	for name, bad := range map[string]certtoken.CertSourceFunc{
		"hangs":  func(context.Context) (*certtoken.Certificate, error) { <-hung; return nil, nil },
		"panics": func(context.Context) (*certtoken.Certificate, error) { panic(goodSecret) },
		"ends its goroutine": func(context.Context) (*certtoken.Certificate, error) {
			runtime.Goexit()
			return nil, nil
		},
		"returns nothing": func(context.Context) (*certtoken.Certificate, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hung = make(chan struct{})
				defer close(hung)
				h := newHouse(t)
				one, two := h.identity(), h.identity()
				one.Certificate, two.Name = bad, "other"
				require.NoError(t, h.Update([]Identity{one, two}))
				for range 2 {
					status, body := h.ask(t, newRequest(http.MethodGet, "/readyz", ""))
					assert.Equal(t, http.StatusServiceUnavailable, status)
					list := body["identities"].([]any)
					assert.Contains(t, list[0].(map[string]any)["problem"], "the certificate's source: ")
					assert.NotContains(t, fmt.Sprint(body), goodSecret)
					assert.NotContains(t, list[1], "problem")
					time.Sleep(healthAge)
				}
			})
		})
	}
}

// Anybody on the machine can ask for the readiness, so the certificates are asked rarely.
func TestHealthIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		asked := 0
		id := h.identity()
		id.Certificate = certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
			asked++
			time.Sleep(time.Second)
			return h.cert, nil
		})
		require.NoError(t, h.Update([]Identity{id}))
		for want := 1; want <= 2; want++ {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { h.ask(t, newRequest(http.MethodGet, "/readyz", "")) })
			}
			all.Wait()
			h.ask(t, newRequest(http.MethodGet, "/readyz", ""))
			assert.Equal(t, want, asked)
			time.Sleep(healthAge)
		}
	})
}

// One caller with many slow requests holds up itself only.
func TestCallersDontHoldUpEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		id := h.identity()
		id.Callers = append(id.Callers, Secret("other", otherSecret))
		require.NoError(t, h.Update([]Identity{id}))
		h.token(t)
		h.failWith(&certtokentest.Fault{Delay: 20 * time.Second})
		done := make(chan int, 200)
		for i := range 200 {
			go func() {
				status, _ := h.ask(t, appServiceRequest(goodSecret, fmt.Sprintf("https://v%d.vault.azure.net", i)))
				done <- status
			}()
		}
		synctest.Wait()
		begin := time.Now()
		status, _ := h.ask(t, appServiceRequest(otherSecret, graph))
		assert.Equal(t, http.StatusOK, status)
		assert.Zero(t, time.Since(begin))
		var statuses []int
		for range 200 {
			statuses = append(statuses, <-done)
		}
		slices.Sort(statuses)
		assert.Contains(t, []int{200, 400}, statuses[0])
	})
}

func TestAfterClose(t *testing.T) {
	h := newHouse(t)
	require.NoError(t, h.Close())
	require.NoError(t, h.Close())
	status, _ := h.ask(t, appServiceRequest(goodSecret, graph))
	assert.Equal(t, http.StatusServiceUnavailable, status)
	require.ErrorIs(t, h.Update([]Identity{h.identity()}), ErrClosed)
}
