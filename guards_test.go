package certtoken_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
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
		_, err := certtoken.Discover(context.Background(), "https://as.example.com", client)
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
