package interop

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// TestLateCertificate calls an API that asks for the certificate after the handshake,
// as Apache does with SSLVerifyClient in a Location: what docs/bound-tokens.md says of
// it.
func TestLateCertificate(t *testing.T) {
	ca, err := certtokentest.MakeCertificate(certtokentest.AsCA(), certtokentest.WithSubject("interop CA"))
	require.NoError(t, err)
	cert, err := certtokentest.MakeCertificate(certtokentest.WithSubject("service"), certtokentest.SignedBy(ca))
	require.NoError(t, err)
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	server.Register("late", cert.Leaf)

	caFile := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, []byte(pemOf(ca)), 0o600))
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.Header.Get("X-Certificate"))
	}))
	defer backend.Close()
	tlsCert := newTLSCertificate(t)
	start := func(t *testing.T, lines ...string) string {
		return startApache(t, tlsCert, []string{"http2", "headers", "proxy", "proxy_http"}, append([]string{
			"ProxyPass / " + backend.URL + "/", "SSLCACertificateFile " + caFile,
			"RequestHeader set X-Certificate \"%{SSL_CLIENT_S_DN_CN}s\"",
		}, lines...)...)
	}
	const inLocation = "<Location /late>\nSSLVerifyClient require\nSSLRenegBufferSize 4096\n</Location>"

	plain := func() *http.Transport { return trusting(tlsCert.pool) }
	ofTheDocs := func() *http.Transport {
		base := plain()
		base.TLSClientConfig.MaxVersion = tls.VersionTLS12
		base.TLSClientConfig.Renegotiation = tls.RenegotiateOnceAsClient
		base.ForceAttemptHTTP2 = false
		base.Protocols = new(http.Protocols)
		base.Protocols.SetHTTP1(true)
		return base
	}
	with := func(base *http.Transport, change func(*http.Transport)) func() *http.Transport {
		return func() *http.Transport { change(base); return base }
	}
	cases := []struct {
		name   string
		base   func() *http.Transport
		server []string
		body   int // bytes
		status int
		fails  string // instead of a status
	}{
		{
			"asked for in the first handshake",
			plain,
			[]string{"Protocols h2 http/1.1", "SSLVerifyClient require"},
			0,
			200,
			"",
		},
		{"late, with nothing set", plain, []string{"Protocols http/1.1", inLocation}, 0, 403, ""},
		{
			"late, HTTP/2, with nothing set",
			plain,
			[]string{"Protocols h2 http/1.1", inLocation},
			0,
			0,
			"HTTP_1_1_REQUIRED",
		},
		{"late, TLS 1.2 without renegotiation", with(ofTheDocs(), func(b *http.Transport) {
			b.TLSClientConfig.Renegotiation = tls.RenegotiateNever
		}), []string{inLocation}, 0, 0, "no renegotiation"},
		{"late, renegotiation under TLS 1.3", with(ofTheDocs(), func(b *http.Transport) {
			b.TLSClientConfig.MaxVersion = 0
		}), []string{inLocation}, 0, 403, ""},
		{"late, the lines of the documentation", ofTheDocs, []string{"Protocols h2 http/1.1", inLocation}, 0, 200, ""},
		{"late, a small body", ofTheDocs, []string{inLocation}, 1000, 200, ""},
		{"late, a body over SSLRenegBufferSize", ofTheDocs, []string{inLocation}, 10_000, 413, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			api := start(t, c.server...)
			client, err := certtoken.NewClient(server.Authority(certtoken.WithTLSClientAuth()), "late", cert,
				certtoken.WithHTTPClient(server.Client()), patient)
			require.NoError(t, err)
			defer client.Close()
			transport := &certtoken.Transport{
				Client: client, Base: c.base(), Request: certtoken.Request{Scopes: []string{"read"}},
			}
			defer transport.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/late/hello", nil)
			require.NoError(t, err)
			if c.body > 0 {
				body := bytes.NewReader(make([]byte, c.body))
				req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/late/hello", body)
				require.NoError(t, err)
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, c.status, resp.StatusCode, "%s %s", resp.Proto, body)
			if c.status == http.StatusOK {
				assert.Equal(t, "service", string(body))
			}
		})
	}
}
