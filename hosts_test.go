package certtoken_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// transportFor is a Transport for the API's token that is bound to hosts.
func (r *rig) transportFor(base http.RoundTripper, hosts ...string) *certtoken.Transport {
	return &certtoken.Transport{
		Client: r.client, Base: base, Request: certtoken.Request{Scopes: []string{apiScope}}, Hosts: hosts,
	}
}

// The token goes to the hosts that were named. A request to any other fails, and nothing
// of it is sent.
func TestHostsBindTheToken(t *testing.T) {
	hosts := []string{"orders.example.com", "*.share.example.com", "other.example.com:8443"}
	for target, allowed := range map[string]bool{
		"https://orders.example.com/v1":                  true,
		"https://ORDERS.example.com:443/v1":              true,
		"https://contoso.share.example.com/":             true,
		"https://other.example.com:8443/":                true,
		"https://other.example.com/":                     false,
		"https://orders.example.com:8443/":               false,
		"https://x.orders.example.com/":                  false,
		"https://share.example.com/":                     false,
		"https://a.contoso.share.example.com/":           false,
		"https://orders.example.com.evil.example/v1":     false,
		"https://orders.example.com@evil.example/v1":     false,
		"https://evil.example/orders.example.com":        false,
		"http://orders.example.com/v1":                   false,
		"https://contoso.share.example.com.evil.example": false,
	} {
		t.Run(target, func(t *testing.T) {
			r := newRig(t)
			base := &chain{tokens: map[string]bool{}, bodies: map[string]string{}}
			body := &closeCounter{Reader: strings.NewReader("body")}
			resp, err := (&http.Client{Transport: r.transportFor(base, hosts...)}).Post(target, "text/plain", body)
			if allowed {
				assert.Equal(t, 200, status(t, resp, err))
				assert.Equal(t, map[string]bool{target: true}, base.tokens)
				return
			}
			require.Error(t, err)
			assert.Empty(t, base.tokens, "the request was sent")
			assert.Positive(t, body.closed.Load())
			assert.Zero(t, r.server.Count(), "a token was asked for")
			if strings.HasPrefix(target, "https:") {
				assert.ErrorContains(t, err, "Transport.Hosts has "+strings.Join(hosts, ", "))
			}
		})
	}
}

// A redirect to another host goes on without the token, also where that host is among the
// named ones.
func TestHostsAndRedirects(t *testing.T) {
	const a, b, c = "https://a.example.com/", "https://b.example.com/", "https://c.example.com/"
	r := newRig(t)
	base := &chain{hops: []hop{{a, b, 302}, {b, c, 302}}, tokens: map[string]bool{}, bodies: map[string]string{}}
	resp, err := (&http.Client{Transport: r.transportFor(base, "a.example.com", "b.example.com")}).Get(a)
	assert.Equal(t, 200, status(t, resp, err))
	assert.Equal(t, map[string]bool{a: true, b: false, c: false}, base.tokens)
}

// Without Hosts the token goes where it always went.
func TestWithoutHosts(t *testing.T) {
	r := newRig(t)
	base := &chain{tokens: map[string]bool{}, bodies: map[string]string{}}
	for _, transport := range []http.RoundTripper{r.transportFor(base), r.client.Transport(base, apiScope)} {
		resp, err := (&http.Client{Transport: transport}).Get("https://any.example.com/")
		assert.Equal(t, 200, status(t, resp, err))
	}
	assert.Equal(t, map[string]bool{"https://any.example.com/": true}, base.tokens)
	short, ok := r.client.Transport(base, apiScope).(*certtoken.Transport)
	require.True(t, ok, "the short form can be narrowed")
	assert.Equal(t, r.transportFor(base).Request, short.Request)
}

// What a Transport can't do is said at its first use, and nothing is sent.
func TestTransportsThatCannotBe(t *testing.T) {
	r := newRig(t)
	sent := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return httptest.NewRecorder().Result(), nil
	})
	code := certtoken.AuthorizationCode("the-code", "", "")
	of := func(req certtoken.Request, hosts ...string) *certtoken.Transport {
		req.Scopes = []string{apiScope}
		return &certtoken.Transport{Client: r.client, Request: req, Hosts: hosts}
	}
	for name, c := range map[string]struct {
		transport *certtoken.Transport
		says      string
	}{
		"zero value":         {new(certtoken.Transport), "no Client"},
		"a client not made":  {&certtoken.Transport{Client: new(certtoken.Client)}, "NewClient"},
		"no scope":           {&certtoken.Transport{Client: r.client}, "no scope"},
		"a code":             {of(certtoken.Request{Grant: code}), "redeemed once"},
		"a refresh token":    {of(certtoken.Request{Grant: certtoken.RefreshToken("r3fresh")}), "redeemed once"},
		"a broken assertion": {of(certtoken.Request{Grant: certtoken.OnBehalfOf("")}), "empty"},
		"fresh":              {of(certtoken.Request{Fresh: true}), "Fresh"},
		"claims":             {of(certtoken.Request{Claims: "{}"}), "Claims"},
		"another tenant":     {of(certtoken.Request{Tenant: "fabrikam.com"}), "WithTenants"},
		"a URL in Hosts":     {of(certtoken.Request{}, "https://x.example/"), "Hosts"},
		"a star in Hosts":    {of(certtoken.Request{}, "*"), "Hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			c.transport.Base = sent
			for range 2 {
				body := &closeCounter{Reader: strings.NewReader("body")}
				_, err := (&http.Client{Transport: c.transport}).Post(apiURL, "text/plain", body)
				require.ErrorContains(t, err, c.says)
				assert.Equal(t, 1, strings.Count(err.Error(), "certtoken: "))
				assert.NotContains(t, err.Error(), "the-code")
				assert.NotContains(t, err.Error(), "r3fresh")
				assert.Positive(t, body.closed.Load())
			}
			assert.NotPanics(t, c.transport.CloseIdleConnections)
			assert.NotContains(t, fmt.Sprintf("%+v", c.transport), "r3fresh")
		})
	}
	assert.Zero(t, r.server.Count())
}

// A Transport's Request is as good as one of Acquire.
func TestTransportOnBehalfOf(t *testing.T) {
	r := newRig(t)
	var seen []string
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		seen = append(seen, req.Header.Get("Authorization"))
		return httptest.NewRecorder().Result(), nil
	})
	user := r.server.UserToken("alice", appID)
	transport := r.transportFor(base, "orders.example.com")
	transport.Request.Grant = certtoken.OnBehalfOf(user)
	for range 3 {
		resp, err := (&http.Client{Transport: transport}).Get(apiURL)
		assert.Equal(t, 200, status(t, resp, err))
	}
	assert.Equal(t, 1, r.server.Count())
	assert.Equal(t, user, r.server.LastRequest().Form.Get("assertion"))
	assert.Equal(t, "Bearer "+r.server.LastRequest().AccessToken, seen[0])
	assert.Equal(t, seen[0], seen[2])
}

// An API that doesn't say why it answers 401.
func TestRenewOn401(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		renew  bool
		want   int
	}{
		"without a challenge":    {nil, true, 200},
		"without an error":       {[]string{`Bearer realm="x"`}, true, 200},
		"another scheme":         {[]string{`Basic realm="x"`}, true, 200},
		"invalid_token":          {[]string{`Bearer error="invalid_token"`}, true, 200},
		"off, without challenge": {nil, false, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			first := r.token(t, apiScope)
			refuse := challenger(c.header...)
			r.server.Handle("orders.example.com/", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if strings.HasSuffix(req.Header.Get("Authorization"), first.AccessToken()) {
					refuse.ServeHTTP(w, req)
				}
			}))
			transport := r.transportFor(r.server.Transport())
			transport.RenewOn401 = c.renew
			resp, err := (&http.Client{Transport: transport}).Get(apiURL)
			assert.Equal(t, c.want, status(t, resp, err))
		})
	}
}

// It has the same bound as any other renewal that a resource causes.
func TestRenewOn401IsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.Handle("orders.example.com/", challenger())
		transport := r.transportFor(r.server.Transport())
		transport.RenewOn401 = true
		for range 120 { // two minutes
			resp, err := (&http.Client{Transport: transport}).Get(apiURL)
			require.Equal(t, 401, status(t, resp, err))
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, r.server.Count(), 1+2)
	})
}

// The first use may be many at once.
func TestFirstUseOfATransport(t *testing.T) {
	r := newRig(t)
	newAPI(r)
	hc := &http.Client{Transport: r.transportFor(r.server.Transport(), "orders.example.com")}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, apiURL, nil)
			assert.NoError(t, err)
			resp, err := hc.Do(req)
			assert.Equal(t, 200, status(t, resp, err))
		})
	}
	wg.Wait()
	hc.CloseIdleConnections()
}
