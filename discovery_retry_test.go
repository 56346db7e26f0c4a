package certtoken_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// reply is one answer of a server.
type reply func() (*http.Response, error)

// flaky answers each request at a place with the next of its answers, and with the
// last one from then on.
type flaky struct {
	answers []reply
	asked   int
}

func (f *flaky) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, "oauth-authorization-server") {
		return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	f.asked++
	resp, err := f.answers[min(f.asked, len(f.answers))-1]()
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func answer(status int, body string, header ...string) reply {
	return func() (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func failing(err error) reply {
	return func() (*http.Response, error) { return nil, err }
}

func TestDiscoverRepeatsWhatMayPass(t *testing.T) {
	good := answer(200, `{"issuer":"https://as.example","token_endpoint":"https://as.example/token"}`)
	for name, c := range map[string]struct {
		answers []reply
		asked   int
		ok      bool
		least   time.Duration
	}{
		"at once": {answers: []reply{good}, asked: 1, ok: true},
		"503":     {answers: []reply{answer(503, ""), good}, asked: 2, ok: true},
		"429 and a reset": {
			answers: []reply{answer(429, ""), failing(syscall.ECONNRESET), good}, asked: 3,
			ok: true,
		},
		"503, 5 s": {
			answers: []reply{answer(503, "", "Retry-After", "5"), good}, asked: 2, ok: true,
			least: 5 * time.Second,
		},
		"503, an hour": {
			answers: []reply{answer(503, "", "Retry-After", "3600"), good}, asked: 1,
		},
		"half an answer": {answers: []reply{func() (*http.Response, error) {
			resp, _ := answer(200, "")()
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"iss`), resetReader{}))
			return resp, nil
		}, good}, asked: 2, ok: true},
		"down":        {answers: []reply{answer(503, "")}, asked: 3},
		"404":         {answers: []reply{answer(404, ""), good}, asked: 1},
		"401":         {answers: []reply{answer(401, ""), good}, asked: 1},
		"no metadata": {answers: []reply{answer(200, "<html>"), good}, asked: 1},
		"another issuer": {
			answers: []reply{answer(200, `{"issuer":"https://x.example"}`), good},
			asked:   1,
		},
		"it redirects": {
			answers: []reply{answer(302, "", "Location", "https://x.example/oauth-authorization-server"), good},
			asked:   1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server := &flaky{answers: c.answers}
				began := time.Now()
				_, err := certtoken.Discover(t.Context(), "https://as.example",
					certtoken.WithDiscoveryClient(&http.Client{Transport: server}))
				assert.Equal(t, c.ok, err == nil, "%v", err)
				assert.Equal(t, c.asked, server.asked)
				assert.GreaterOrEqual(t, time.Since(began), c.least)
				assert.LessOrEqual(t, time.Since(began), c.least+3*time.Second)
			})
		})
	}
}

type resetReader struct{}

func (resetReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestDiscoverPausesNoLongerThanItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		server := &flaky{answers: []reply{answer(503, "", "Retry-After", "9")}}
		began := time.Now()
		_, err := certtoken.Discover(ctx, "https://as.example",
			certtoken.WithDiscoveryClient(&http.Client{Transport: server}))
		require.Error(t, err)
		assert.Zero(t, time.Since(began), "nothing comes within the time that is left")
		assert.Equal(t, 1, server.asked)
	})
}

// SMART App Launch: the configuration below a FHIR base URL.
func TestDiscoverSMART(t *testing.T) {
	const base = "https://fhir.example/r4"
	const endpoint = `{"token_endpoint":"https://auth.example/token"`
	for name, c := range map[string]struct {
		config string
		opts   []certtoken.AuthorityOption
		alg    string
		aud    string
		says   string // "" is an authority
	}{
		"as most have it": {
			config: endpoint + `,"token_endpoint_auth_methods_supported":["private_key_jwt"]}`,
			alg:    "RS384", aud: "https://auth.example/token",
		},
		"with algorithms": {
			config: endpoint + `,"token_endpoint_auth_signing_alg_values_supported":["ES384","RS384"]}`,
			alg:    "RS384", aud: "https://auth.example/token",
		},
		"another one": {
			config: endpoint + `,"token_endpoint_auth_signing_alg_values_supported":["RS256"]}`,
			alg:    "RS256", aud: "https://auth.example/token",
		},
		"with its issuer": {
			config: `{"issuer":"https://auth.example","token_endpoint":"https://auth.example/token"}`, alg: "RS384",
			aud: "https://auth.example/token",
		},
		"options win": {
			config: `{"token_endpoint":"https://auth.example/token"}`,
			opts: []certtoken.AuthorityOption{
				certtoken.WithAudience("mine"), certtoken.WithAlgorithm(certtoken.PS256),
			},
			alg: "PS256", aud: "mine",
		},
		"no endpoint": {config: `{"capabilities":["launch-ehr"]}`, says: "no token endpoint"},
		"plain http":  {config: `{"token_endpoint":"http://auth.example/token"}`, says: "plain http"},
		"none":        {says: "smart-configuration: it answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			place := metadataServer{}
			if c.config != "" {
				place[base+"/.well-known/smart-configuration"] = c.config
			}
			authority, err := certtoken.Discover(t.Context(), base,
				append(c.opts, certtoken.WithDiscoveryClient(&http.Client{Transport: place}))...)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			var wire recorder
			cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			client, err := certtoken.NewClient(authority, clientID, cert,
				certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "system/*.read")
			require.Error(t, err)
			assert.Equal(t, "https://auth.example/token", wire.url)
			header, claims := decodedJWT(t, wire.form.Get("client_assertion"))
			assert.Contains(t, string(header), `"alg":"`+c.alg+`"`)
			assert.Contains(t, string(header), `"typ":"JWT"`)
			assert.Contains(t, string(claims), `"aud":"`+c.aud+`"`)
		})
	}
}
