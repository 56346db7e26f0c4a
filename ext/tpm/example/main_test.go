package main

import (
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/tpm"
)

// startTPM starts a TPM in software, which ends with the test, and returns its socket.
func startTPM(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	if _, err := exec.LookPath("swtpm"); err != nil {
		missing("swtpm is not installed: apt-get install swtpm")
	}
	dir, err := os.MkdirTemp("", "tpm") // the path of a socket may have 100 characters
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--flags", "startup-clear",
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+socket+".ctrl")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 5*time.Minute, 5*time.Millisecond, "swtpm listens")
	return socket
}

// The program as it is, with a TPM in software, and a token endpoint and an API on this
// machine: the first run makes the key, the second uses it.
func TestRun(t *testing.T) {
	s := settings{
		device: startTPM(t), key: filepath.Join(t.TempDir(), "private.tpm"),
		tenant: certtokentest.DefaultTenant, clientID: "client-id",
		scope: "https://graph.microsoft.com/.default", api: "https://graph.microsoft.com/v1.0/organization",
	}
	srv := certtokentest.NewServer(t)
	srv.Handle("graph.microsoft.com/", srv.Resource("https://graph.microsoft.com", nil))
	var out strings.Builder
	require.NoError(t, run(t.Context(), s, srv.Client(), &out))
	assert.Contains(t, out.String(), `made certtoken.Certificate("CN=my-app"`)

	der, err := os.ReadFile(filepath.Join(filepath.Dir(s.key), "public.cer"))
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	srv.Register("client-id", cert)
	require.NoError(t, run(t.Context(), s, srv.Client(), &out))
	assert.Contains(t, out.String(), `"client_id":"client-id"`)

	s.device = filepath.Join(t.TempDir(), "none")
	assert.ErrorIs(t, run(t.Context(), s, srv.Client(), &out), tpm.ErrNoTPM)
}
