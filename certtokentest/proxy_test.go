package certtokentest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProxy(t *testing.T) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t)
	f.srv.Register(clientID, f.cert.Leaf)
	proxy := certtokentest.NewProxy(t, f.srv)
	ask := func(roots *x509.CertPool) (int, error) {
		transport := &http.Transport{Proxy: http.ProxyURL(proxy.URL()), TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer transport.CloseIdleConnections()
		const target = "https://login.microsoftonline.com/" + certtokentest.DefaultTenant + "/oauth2/v2.0/token"
		d := f.draft()
		d.claims["aud"] = target
		resp, err := (&http.Client{Transport: transport}).Do(tokenRequest(t, target, f.formOf(d)))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	status, err := ask(f.srv.CertPool())
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	assert.Equal(t, []string{"login.microsoftonline.com:443"}, proxy.Hosts())

	proxy.Fail(
		certtokentest.Fault{Status: 403},
		certtokentest.Fault{Status: 407, Header: http.Header{"Proxy-Authenticate": {"Negotiate"}}},
		certtokentest.Fault{Status: 502, Shape: certtokentest.HTML},
		certtokentest.Fault{Shape: certtokentest.ResetConnection},
	)
	for _, want := range []string{"Forbidden", "Proxy Authentication Required", "Bad Gateway", "reset"} {
		_, err = ask(f.srv.CertPool())
		assert.ErrorContains(t, err, want)
	}
	proxy.FailAlways(certtokentest.Fault{Status: 503})
	_, err = ask(f.srv.CertPool())
	assert.ErrorContains(t, err, "Service Unavailable")
	proxy.ClearFaults()

	proxy.Intercept(true)
	_, err = ask(f.srv.CertPool())
	var unknown *tls.CertificateVerificationError
	assert.ErrorAs(t, err, &unknown, "the proxy's CA isn't the server's")
	trusting := x509.NewCertPool()
	require.True(t, trusting.AppendCertsFromPEM(proxy.CAPEM()))
	status, err = ask(trusting)
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	assert.Len(t, proxy.Hosts(), 8)

	resp, err := http.Get(proxy.URL().String())
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusNotImplemented, resp.StatusCode)
	http.DefaultClient.CloseIdleConnections()
}

// A proxy that is closed breaks the tunnels that something goes through.
func TestProxyEndsTunnels(t *testing.T) {
	f := newFixture(t)
	f.srv = certtokentest.NewServer(t)
	f.srv.FailAlways(certtokentest.Fault{Delay: time.Hour})
	failed := make(chan error, 1)
	t.Run("while it lives", func(t *testing.T) {
		proxy := certtokentest.NewProxy(t, f.srv)
		transport := &http.Transport{
			Proxy:           http.ProxyURL(proxy.URL()),
			TLSClientConfig: &tls.Config{RootCAs: f.srv.CertPool()},
		}
		req := tokenRequest(f.t, f.srv.TokenURL(), f.form())
		go func() {
			_, err := transport.RoundTrip(req)
			failed <- err
		}()
		until(t, func() bool { return f.srv.Count() == 1 })
	})
	assert.Error(t, <-failed)
}
