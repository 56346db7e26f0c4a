package tlsalert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

type failure struct {
	remote string
	err    error
}

// serve starts a server and returns where its failures go.
func serve(t *testing.T) (*httptest.Server, chan failure) {
	t.Helper()
	failures := make(chan failure, 1)
	f := &Failures{Report: func(remote string, err error) { failures <- failure{remote, err} }}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Listener = f.Listener(srv.Listener)
	srv.Config.ErrorLog = log.New(f, "", 0)
	srv.StartTLS()
	t.Cleanup(func() {
		srv.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		assert.Empty(t, f.conns, "connections are forgotten")
	})
	return srv, failures
}

// What OpenSSL sends, by the bytes: its alert isn't encrypted in TLS 1.3.
func TestPlainAlert(t *testing.T) {
	for alert, want := range map[byte]string{
		48: "remote error: tls: unknown certificate authority",
		45: "remote error: tls: expired certificate",
		46: "remote error: tls: unknown certificate",
	} {
		srv, failures := serve(t)
		raw, err := net.Dial("tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		client := tls.Client(raw, &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true,
			VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
				_, err := raw.Write([]byte{21, 3, 3, 0, 2, 2, alert})
				return errors.Join(errors.New("not trusted"), err, raw.(*net.TCPConn).CloseWrite())
			},
		})
		require.Error(t, client.HandshakeContext(t.Context()))
		got := <-failures
		assert.Equal(t, raw.LocalAddr().String(), got.remote)
		assert.EqualError(t, got.err, want)
		require.NoError(t, raw.Close())
	}
}

// What Go's client says comes encrypted, and crypto/tls knows it.
func TestEncryptedAlert(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		srv, failures := serve(t)
		_, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{MinVersion: version, MaxVersion: version})
		require.Error(t, err)
		assert.ErrorContains(t, (<-failures).err, "remote error: tls: bad certificate")
	}
}

func TestNoTLS(t *testing.T) {
	srv, failures := serve(t)
	raw, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	_, err = raw.Write([]byte("nonsense nonsense nonsense\n"))
	require.NoError(t, err)
	assert.ErrorContains(t, (<-failures).err, "does not look like a TLS handshake")
	require.NoError(t, raw.Close())
}

func TestOtherLines(t *testing.T) {
	var other []string
	f := &Failures{Other: func(line string) { other = append(other, line) }}
	silent := &Failures{}
	for _, line := range []string{"http: panic serving 1.2.3.4:5: oh\n", handshakeError + "nobody\n"} {
		n, err := f.Write([]byte(line))
		assert.NoError(t, err)
		assert.Equal(t, len(line), n)
		_, err = silent.Write([]byte(line))
		assert.NoError(t, err)
	}
	_, err := f.Write([]byte(handshakeError + "[::1]:5: EOF\n"))
	assert.NoError(t, err)
	assert.Equal(t, []string{"http: panic serving 1.2.3.4:5: oh", handshakeError + "nobody"}, other)
}

// The alert is found however the bytes before it were cut.
func TestLastBytes(t *testing.T) {
	for cut := range 12 {
		client, server := net.Pipe()
		c := &conn{Conn: server, failures: &Failures{}}
		all := []byte{22, 3, 3, 0, 0, 21, 3, 3, 0, 2, 2, 48}
		go func() {
			defer client.Close()
			_, _ = client.Write(all[:cut])
			_, _ = client.Write(all[cut:])
		}()
		for buffer, err := make([]byte, 64), error(nil); err == nil; {
			_, err = c.Read(buffer)
		}
		alert, ok := c.alert()
		assert.True(t, ok)
		assert.Equal(t, tls.AlertError(48), alert)
		require.NoError(t, c.Close())
	}
}

// What is encrypted, longer or shorter is no alert that could be read.
func TestOtherRecords(t *testing.T) {
	for name, last := range map[string][]byte{
		"nothing":           nil,
		"an encrypted one":  {23, 3, 3, 0, 2, 2, 48},
		"of another length": {21, 3, 3, 0, 1, 2, 48},
		"of a long record":  {21, 3, 3, 1, 2, 2, 48},
		"not TLS":           {21, 2, 3, 0, 2, 2, 48},
		"cut":               {21, 3, 3, 0, 2, 2},
	} {
		_, ok := (&conn{last: last}).alert()
		assert.False(t, ok, name)
	}
}
