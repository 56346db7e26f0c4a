package certtoken_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// untrusted are the errors of net/http for a server whose certificate can't be trusted.
var untrusted = map[string]error{
	"verification failed": &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}},
	"an unknown issuer":   x509.UnknownAuthorityError{},
	"another name":        x509.HostnameError{Certificate: new(x509.Certificate), Host: "login.microsoftonline.com"},
}

// failingWith counts the requests that fail with an error.
func failingWith(err error, count *int) http.RoundTripper {
	return roundTripFunc(func(*http.Request) (*http.Response, error) {
		*count++
		return nil, err
	})
}

// A server that can't show who it is might be somebody else, who is not to be asked
// again: what is wrong with its certificate doesn't pass within a second.
func TestAServerThatIsNotTrustedIsNotTriedAgain(t *testing.T) {
	for name, failure := range untrusted {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				asked := 0
				client := newStubClient(t, failingWith(failure, &asked))
				_, err := client.Token(t.Context(), graph)
				require.ErrorContains(t, err, "certtoken: ")
				assert.Equal(t, 1, asked)
			})
		})
	}
	bubble(t, func(t *testing.T) { // so that the count above says something
		asked := 0
		_, err := newStubClient(t, failingWith(io.ErrUnexpectedEOF, &asked)).Token(t.Context(), graph)
		require.Error(t, err)
		assert.Equal(t, 3, asked)
	})
}

func TestAnIssuerThatIsNotTrustedIsNotTriedAgain(t *testing.T) {
	discover := func(t *testing.T, failure error) (asked int) {
		client := &http.Client{Transport: failingWith(failure, &asked)}
		_, err := certtoken.Discover(context.Background(), "https://as.example.com",
			certtoken.WithDiscoveryClient(client))
		require.Error(t, err)
		return asked
	}
	for name, failure := range untrusted {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { assert.Equal(t, 3, discover(t, failure), "one request for each place") })
		})
	}
	bubble(t, func(t *testing.T) { assert.Equal(t, 9, discover(t, io.ErrUnexpectedEOF)) })
}

// There is one way to have a server that can't be trusted taken for one that can, and
// nothing of ours uses it. (Which servers are refused is tested where they are.)
func TestNothingTurnsVerificationOff(t *testing.T) {
	read := 0
	walk(t, ".go", func(file, text string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		read++
		for _, name := range []string{"InsecureSkipVerify", "VerifyPeerCertificate", "VerifyConnection"} {
			assert.NotContains(t, text, name, file)
		}
	})
	assert.Greater(t, read, 100)
}

// Only a 401 says something about the token, whatever else has a challenge.
func TestOtherStatusesWithAChallenge(t *testing.T) {
	for _, renew := range []bool{false, true} {
		for _, code := range []int{200, 400, 403, 503} {
			asked := 0
			r := newRig(t)
			base := roundTripFunc(func(*http.Request) (*http.Response, error) {
				asked++
				header := http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
				return &http.Response{StatusCode: code, Header: header, Body: http.NoBody}, nil
			})
			transport := r.transportFor(base)
			transport.RenewOn401 = renew
			resp, err := (&http.Client{Transport: transport}).Get(apiURL)
			require.Equal(t, code, status(t, resp, err))
			assert.Equal(t, 1, asked, "%d", code)
			assert.Equal(t, 1, r.server.Count(), "%d", code)
		}
	}
}

// A body that can't be had again: the 401 is the answer.
func TestABodyThatCannotBeRepeated(t *testing.T) {
	asked := 0
	r := newRig(t)
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		asked++
		req.Body.Close()
		header := http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: header, Body: http.NoBody}, nil
	})
	req, err := http.NewRequest(http.MethodPost, apiURL, strings.NewReader("order"))
	require.NoError(t, err)
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("it is gone") }
	resp, err := r.transportFor(base).RoundTrip(req)
	require.Equal(t, http.StatusUnauthorized, status(t, resp, err))
	assert.Equal(t, 1, asked)
}

// A redirect whose way isn't known may have led through anybody, so it has no token.
func TestARedirectFromNowhere(t *testing.T) {
	at, err := url.Parse(apiURL)
	require.NoError(t, err)
	for name, from := range map[string]*http.Request{
		"no request": nil, "a request without a URL": {},
		"another origin": {URL: &url.URL{Scheme: "https", Host: "a.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
				assert.Empty(t, req.Header.Get("Authorization"))
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
			})
			req := &http.Request{Method: http.MethodGet, URL: at, Response: &http.Response{Request: from}}
			resp, err := r.transportFor(base).RoundTrip(req.WithContext(t.Context()))
			require.Equal(t, http.StatusOK, status(t, resp, err))
			assert.Zero(t, r.server.Count())
		})
	}
}

// Only this machine is asked without the proxy, and only where the standard transport
// would use one.
func TestOtherHostsUseTheProxy(t *testing.T) {
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked <- req.Method + " " + req.Host
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer proxy.Close()
	withProxy(t, proxy.URL)
	r := newRig(t)
	_, err := (&http.Client{Transport: r.client.Transport(nil, apiScope)}).Get(apiURL)
	require.Error(t, err)
	assert.Equal(t, "CONNECT orders.example.com:443", <-asked)
}

func TestLoopbackOverAnotherDefaultTransport(t *testing.T) {
	std := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = std })
	asked := 0
	http.DefaultTransport = roundTripFunc(func(*http.Request) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	r := newRig(t)
	resp, err := (&http.Client{Transport: r.client.Transport(nil, apiScope)}).Get("https://localhost/")
	require.Equal(t, http.StatusOK, status(t, resp, err))
	assert.Equal(t, 1, asked)
}

// Plain http to this machine may be allowed, and no other scheme is with it.
func TestOtherSchemesOnLoopback(t *testing.T) {
	endpoint, _ := loopbackEndpoint(t)
	client := newDefaultClient(t, endpoint.URL)
	defer client.Close()
	base := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return nil, io.EOF
	})
	for _, address := range []string{"ftp://localhost/", "ws://127.0.0.1/", "HTTP+x://[::1]/"} {
		at, err := url.Parse(address)
		require.NoError(t, err)
		req := (&http.Request{Method: http.MethodGet, URL: at}).WithContext(t.Context())
		_, err = client.Transport(base, "read").RoundTrip(req)
		assert.ErrorContains(t, err, "https only", address)
	}
}
