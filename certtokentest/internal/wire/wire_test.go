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

// A client that makes up names gets certificates for a bounded number of them.
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
