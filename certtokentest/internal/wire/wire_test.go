package wire

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever makes up names gets no certificate without end.
func TestNamesAreBounded(t *testing.T) {
	issuer, err := newTLSIssuer(nil)
	require.NoError(t, err)
	_, err = issuer.certificate(&tls.ClientHelloInfo{ServerName: strings.Repeat("a", maxDNSName+1)})
	assert.Error(t, err)
	for i := range maxTLSNames {
		issuer.byName[strconv.Itoa(i)] = &tls.Certificate{}
	}
	_, err = issuer.certificate(&tls.ClientHelloInfo{ServerName: "one.more"})
	assert.Error(t, err)
	_, err = issuer.certificate(&tls.ClientHelloInfo{ServerName: "7"})
	assert.NoError(t, err, "a name that has one")
}

// A request that net/http still brings after Close isn't answered: its test is over.
func TestNoRequestAfterClose(t *testing.T) {
	answered := false
	w, err := Listen(Config{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered = true })})
	require.NoError(t, err)
	w.Close()
	w.Close()
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
		w.server.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
	assert.False(t, answered)
}

func TestTLSFailuresAreRead(t *testing.T) {
	var got []string
	f := tlsFailures(func(remote string, err error) { got = append(got, remote, err.Error()) })
	for _, line := range []string{
		"http: TLS handshake error from [::1]:12: remote error: tls: unknown certificate authority\n",
		"http: TLS handshake error from nobody\n",
		"http: superfluous response.WriteHeader call\n",
	} {
		n, err := f.Write([]byte(line))
		assert.NoError(t, err)
		assert.Len(t, line, n)
	}
	assert.Equal(t, []string{"[::1]:12", "remote error: tls: unknown certificate authority"}, got)
	_, err := tlsFailures(nil).Write([]byte("http: TLS handshake error from [::1]:12: EOF\n"))
	assert.NoError(t, err)
}
