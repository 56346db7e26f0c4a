package rotate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
)

// rotatorEnv makes the test's program a process that rotates a file: its value is the folder.
const rotatorEnv = "CERTTOKEN_TEST_ROTATOR"

// rotatorOptions make rotations without pauses.
func rotatorOptions() rotate.Options {
	return rotate.Options{
		Settle: -1, RemoveAfter: 300 * time.Millisecond, Probe: certtoken.Request{Scopes: []string{scope}},
	}
}

// TestRotator is the process that is killed. It makes one rotation, or goes on with one.
func TestRotator(t *testing.T) {
	dir := os.Getenv(rotatorEnv)
	if dir == "" {
		t.Skip("TestKilledProcess starts this")
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	url, err := os.ReadFile(filepath.Join(dir, "url"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}
	host := strings.TrimPrefix(string(url), "https://")
	authority := certtoken.Entra("contoso.onmicrosoft.com", certtoken.WithHost(host))
	client, err := certtoken.NewClient(
		authority, clientID, certtoken.CertFile(filepath.Join(dir, "app.pem")), certtoken.WithHTTPClient(hc))
	require.NoError(t, err)
	defer client.Close()
	registrar := rotate.GraphOptions{HTTPClient: hc, URL: string(url) + "/v1.0", Scope: scope}.Registrar(
		certtokentest.ApplicationID(clientID))
	r, err := rotatorOptions().New(client, registrar, dir)
	require.NoError(t, err)
	status, err := r.Status(t.Context())
	require.NoError(t, err)
	if status.Step == rotate.StepWait && len(status.Retired) == 0 {
		status, err = r.Begin(t.Context())
	}
	for err == nil && (status.Step != rotate.StepWait || len(status.Retired) > 0) {
		time.Sleep(max(0, time.Until(status.Due)))
		status, err = r.Advance(t.Context())
	}
	require.NoError(t, err)
}

// A process that is killed by the system, again and again, while it rotates: what is left on
// the disk is enough to go on.
func TestKilledProcess(t *testing.T) {
	server := certtokentest.NewServer(t,
		certtokentest.WithGraph(certtokentest.GraphRules{Permitted: []string{clientID}}))
	w := &world{T: t, server: server, dir: t.TempDir(), authority: server.Authority()}
	w.file = filepath.Join(w.dir, "app.pem")
	first := w.newCert()
	w.write(first)
	server.Register(clientID, first.Leaf)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "ca.pem"), server.CAPEM(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "url"), []byte(server.URL()), 0o600))

	callers := w.startLoad(2, 50*time.Millisecond)
	random, kills, rotations := newRandom(), 0, 0
	last := first
	const whole = 5 * time.Minute // a run that takes so long hangs
	length := time.Second         // of the last run that wasn't killed
	for tries := 0; rotations < 5 || kills < 5; tries++ {
		require.Less(t, tries, 200)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRotator$")
		cmd.Env = append(os.Environ(), rotatorEnv+"="+w.dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		started := time.Now()
		patience := whole
		if tries%3 != 0 { // anything between its start and its end, however fast the machine is
			patience = time.Duration(random.Float64() * float64(length))
		}
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		killed := !timer.Stop()
		assert.True(t, w.isRegistered())
		if killed {
			require.Less(t, patience, whole, "it hangs: %s", out.String())
			kills++
			continue
		}
		length = time.Since(started)
		require.NoError(t, err, out.String())
		require.Len(t, w.registered(), 1)
		if now := w.current(); !bytes.Equal(now.Leaf.Raw, last.Leaf.Raw) {
			last = now
			rotations++
		}
		status, err := rotate.ReadStatus(w.file)
		require.NoError(t, err)
		assert.Empty(t, status.Orphans)
		assert.Empty(t, w.leftovers())
	}
	callers.end()
	t.Logf("%d kills, %d calls", kills, callers.calls.Load())
}
