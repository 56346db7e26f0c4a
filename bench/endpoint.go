package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// tokenSize is the length of every access token: that of a usual one of Entra ID.
const tokenSize = 1536

// endpoint is a token endpoint without a connection and without latency, so
// that what is measured is the library and nothing else. It is the same for
// all and believes whatever it is sent.
type endpoint struct {
	expiresIn int
	refreshIn int // 0: not sent
	size      int // of each token in bytes; 0: tokenSize

	delay    atomic.Int64 // of each answer, a time.Duration
	dead     atomic.Bool  // refuses connections
	requests atomic.Int64 // for a token
	serial   atomic.Int64
}

func newEndpoint() *endpoint { return &endpoint{expiresIn: 3599} }

func (e *endpoint) client() *http.Client { return &http.Client{Transport: e} }

// RoundTrip answers token requests, and the questions of MSAL and azidentity
// before the first of them.
func (e *endpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
	}
	if req.Method == http.MethodGet {
		return answer(req, discovery(req.URL.Host, req.URL.Path)), nil
	}
	e.requests.Add(1)
	if d := time.Duration(e.delay.Load()); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if e.dead.Load() {
		return nil, syscall.ECONNREFUSED
	}
	return answer(req, e.token()), nil
}

// token is a grant of a token that no other grant has.
func (e *endpoint) token() string {
	token := fmt.Sprintf("%016x", e.serial.Add(1))
	if e.size > 0 {
		token += strings.Repeat("x", e.size-len(token))
	} else {
		token += padding
	}
	refresh := ""
	if e.refreshIn > 0 {
		refresh = fmt.Sprintf(`,"refresh_in":%d`, e.refreshIn)
	}
	return fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"ext_expires_in":%d%s,"access_token":"%s"}`,
		e.expiresIn, e.expiresIn, refresh, token)
}

var padding = strings.Repeat("x", tokenSize-16)

// discovery is what Entra ID answers to instance and tenant discovery.
func discovery(host, path string) string {
	origin := "https://" + host
	if strings.HasSuffix(path, "/discovery/instance") {
		return `{"tenant_discovery_endpoint":"` + origin + `/` + tenant + `/v2.0/.well-known/openid-configuration",` +
			`"metadata":[{"preferred_network":"` + host + `","preferred_cache":"` + host + `","aliases":["` + host + `"]}]}`
	}
	base := origin + "/" + strings.Split(strings.TrimPrefix(path, "/"), "/")[0]
	return `{"issuer":"` + base + `/v2.0","authorization_endpoint":"` + base + `/oauth2/v2.0/authorize",` +
		`"token_endpoint":"` + base + `/oauth2/v2.0/token"}`
}

func answer(req *http.Request, body string) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
