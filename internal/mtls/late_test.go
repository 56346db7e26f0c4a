package mtls

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateServer is a web server that asks for the client's certificate only after it has read
// a request, as Apache does where SSLVerifyClient stands in a location. It is OpenSSL's
// s_server, since Go's TLS server can't renegotiate: its command R asks for the
// certificate, and any other line is sent to the client.
type lateServer struct {
	address string
	input   io.WriteCloser
	output  *bufio.Scanner
	report  *bytes.Buffer // of the certificates that it was shown
	end     func()
}

func newLateServer(t *testing.T, pair *Pair) *lateServer {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is needed for this test, and is not installed")
		}
		t.Skip("openssl is not installed")
	}
	file := filepath.Join(t.TempDir(), "server.pem")
	key, err := x509.MarshalPKCS8PrivateKey(pair.Signer)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	cmd := exec.CommandContext(t.Context(), openssl, "s_server", "-accept", "127.0.0.1:0", "-naccept", "1",
		"-cert", file, "-key", file, "-tls1_2", "-crlf")
	s := &lateServer{report: new(bytes.Buffer)}
	cmd.Stderr = s.report
	cmd.WaitDelay = time.Minute
	s.input, err = cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	s.output = bufio.NewScanner(output)
	require.NoError(t, cmd.Start())
	s.end = func() {
		_ = s.input.Close()
		_, _ = io.Copy(io.Discard, output)
		_ = cmd.Wait()
	}
	line := s.read("ACCEPT ")
	s.address = strings.TrimPrefix(line, "ACCEPT ")
	require.Contains(t, s.address, ":", "s_server doesn't say where it listens")
	return s
}

// read reads lines up to one that begins with a text, and returns that, or "" at the end.
func (s *lateServer) read(beginning string) string {
	for s.output.Scan() {
		if strings.HasPrefix(s.output.Text(), beginning) {
			return s.output.Text()
		}
	}
	return ""
}

// serve answers one request after it has asked for a certificate.
func (s *lateServer) serve() {
	s.read("GET / HTTP/1.1")
	_, _ = io.WriteString(s.input, "R\n")
	s.read("Read BLOCK") // the handshake is over
	_, _ = io.WriteString(s.input, "HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close\n\n")
}

// A resource that asks after the handshake is shown the certificate where the base allows
// renegotiation, and is not where it doesn't, which is Go's default.
func TestACertificateThatIsAskedForLate(t *testing.T) {
	for name, c := range map[string]struct {
		renegotiation tls.RenegotiationSupport
		says          string
	}{
		"allowed":     {tls.RenegotiateOnceAsClient, ""},
		"the default": {tls.RenegotiateNever, "renegotiation"},
	} {
		t.Run(name, func(t *testing.T) {
			pair := newPair(t, "the server")
			s := newLateServer(t, pair)
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.serve()
			}()
			roots := x509.NewCertPool()
			roots.AddCert(pair.Leaf)
			base := &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs: roots, ServerName: "example.com", MaxVersion: tls.VersionTLS12, Renegotiation: c.renegotiation,
			}}
			bindings := New(&http.Client{Transport: base}, false)
			defer bindings.Close()
			b, err := bindings.Bind(newPair(t, "the client"))
			require.NoError(t, err)
			transport, err := NewPresenter(t.Context(), base).Of(b)
			require.NoError(t, err)
			client := &http.Client{Transport: transport, Timeout: 3 * time.Minute}
			resp, err := client.Get("https://" + s.address)
			client.CloseIdleConnections()
			if err == nil {
				_ = resp.Body.Close()
			}
			s.end()
			<-done
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Contains(t, s.report.String(), "the client")
		})
	}
}
