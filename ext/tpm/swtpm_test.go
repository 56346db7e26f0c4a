package tpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/selfsigned"
)

// swtpm is a TPM in software, in a folder of its own.
type swtpm struct {
	socket string
	dir    string
	stop   func()
}

// need skips a test whose programs aren't there; with CI=true it fails.
func need(t testing.TB, tools ...string) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing("%s is not installed: apt-get install swtpm tpm2-tools tpm2-openssl openssl", tool)
		}
	}
}

// startTPM starts a new TPM, which ends with the test.
func startTPM(t testing.TB) *swtpm {
	t.Helper()
	need(t, "swtpm")
	dir, err := os.MkdirTemp("", "tpm") // the path of a socket may have 100 characters
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &swtpm{socket: filepath.Join(dir, "tpm"), dir: dir}
	s.start(t)
	return s
}

// start starts the TPM with the state that it had. It can be started a second time when
// stop has ended it, as a machine is.
func (s *swtpm) start(t testing.TB) {
	t.Helper()
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.dir, "--flags", "startup-clear",
		"--server", "type=unixio,path="+s.socket, "--ctrl", "type=unixio,path="+s.socket+".ctrl")
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed
		close(ended)
	}()
	s.stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(s.stop)
	for end := time.Now().Add(5 * time.Minute); !listens(s.socket+".ctrl") || !listens(s.socket); {
		select {
		case <-ended:
			require.Fail(t, "swtpm has ended")
		case <-time.After(5 * time.Millisecond):
		}
		require.True(t, time.Now().Before(end), "swtpm doesn't listen")
	}
}

// listens reports whether somebody listens on a socket. Its file is there a moment earlier.
func listens(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// run runs a program of the TPM's other users.
func (s *swtpm) run(t testing.TB, name string, args ...string) {
	t.Helper()
	need(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	tcti := "swtpm:path=" + s.socket
	cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI="+tcti, "TPM2OPENSSL_TCTI="+tcti, "TSS2_LOG=all+none")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

// openssl has OpenSSL's tpm2 provider make a key.
func (s *swtpm) openssl(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	s.run(t, "openssl", slices.Concat([]string{"genpkey", "-provider", "tpm2", "-provider", "default"}, args,
		[]string{"-out", path})...)
	return path
}

// options are those that name this TPM, and more.
func (s *swtpm) options(opts ...Option) []Option {
	return append([]Option{WithDevice(s.socket)}, opts...)
}

// make makes a key and returns its file.
func (s *swtpm) make(t testing.TB, k NewKey, opts ...Option) []byte {
	t.Helper()
	file, err := Create(t.Context(), k, s.options(opts...)...)
	require.NoError(t, err)
	return file
}

// alone is the signer of a key file without a certificate.
func (s *swtpm) alone(t testing.TB, file []byte, opts ...Option) crypto.Signer {
	t.Helper()
	source, err := FromData(file, s.options(append(opts, WithoutCertificate())...)...)
	require.NoError(t, err)
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	return cert.Signer
}

// certify adds a self-signed certificate to a key file, and returns it too.
func (s *swtpm) certify(t testing.TB, file []byte, opts ...Option) ([]byte, *x509.Certificate) {
	t.Helper()
	cert, err := selfsigned.For(t.Context(), s.alone(t, file, opts...), selfsigned.Options{Subject: "my-app"})
	require.NoError(t, err)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	return slices.Concat(block, file), cert.Leaf
}

// withPolicy makes a key with a policy, whose digest f makes in a trial session, and the
// password "secret".
func (s *swtpm) withPolicy(t *testing.T, f func(*connection, tpm2.TPMHandle) []policyStep) []byte {
	t.Helper()
	made, err := do(t.Context(), deviceOf(s.socket), func(c *connection) (*keyFile, error) {
		template, err := NewKey{Key: selfsigned.EC}.template()
		require.NoError(t, err)
		template.ObjectAttributes.UserWithAuth = false
		trial, end, err := tpm2.PolicySession(c.tpm, tpm2.TPMAlgSHA256, nonceSize, tpm2.Trial())
		require.NoError(t, err)
		defer func() { _ = end() }()
		policy := f(c, trial.Handle())
		digest, err := tpm2.PolicyGetDigest{PolicySession: trial.Handle()}.Execute(c.tpm)
		require.NoError(t, err)
		template.AuthPolicy = digest.PolicyDigest
		file, err := c.create(&config{parent: tpm2.TPMRHOwner}, *template, []byte("secret"), nil)
		if err == nil {
			file.policy = policy
		}
		return file, err
	})
	require.NoError(t, err)
	file, err := made.pem()
	require.NoError(t, err)
	return file
}

// tapped is a TPM whose commands are kept.
type tapped struct {
	transport.TPMCloser
	commands *[][]byte
}

func (t tapped) Send(command []byte) ([]byte, error) {
	*t.commands = append(*t.commands, bytes.Clone(command))
	return t.TPMCloser.Send(command)
}

// tap keeps all commands from now on.
func (s *swtpm) tap() *[][]byte {
	var commands [][]byte
	d := deviceOf(s.socket)
	open := d.open
	d.open = func(path string) (transport.TPMCloser, error) {
		tpm, err := open(path)
		return tapped{tpm, &commands}, err
	}
	return &commands
}

// write writes a file into the TPM's folder.
func (s *swtpm) write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func passwordIs(text string) Password {
	return func(context.Context) (string, error) { return text, nil }
}
