package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/pkcs11"
)

const module = "/usr/lib/softhsm/libsofthsm2.so"

// setUp runs the README's commands to set up SoftHSM in a folder, and returns the
// certificate that they made.
func setUp(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, tool := range []string{"bash", "openssl", "softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("%s is not installed: apt-get install softhsm2 opensc openssl", tool)
		}
	}
	if _, err := os.Stat(module); err != nil {
		missing("%s is not there: apt-get install softhsm2", module)
	}
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	script := regexp.MustCompile("(?s)<!-- set-up -->\n```sh\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, script, "the README has the commands")
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", string(script[1]))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))

	der, err := os.ReadFile(filepath.Join(dir, "cert.der"))
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(dir, "key.pem"))
	return cert
}

// The program as it is, on a token made by the README's commands, with a token
// endpoint and an API on this machine.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	cert := setUp(t, dir)
	srv := certtokentest.NewServer(t)
	srv.Register("client-id", cert)
	srv.Handle("graph.microsoft.com/", srv.Resource("https://graph.microsoft.com", nil))
	s := settings{
		module: module, token: "certtoken", key: "my-app", pinFile: filepath.Join(dir, "pin"),
		tenant: certtokentest.DefaultTenant, clientID: "client-id",
		scope: "https://graph.microsoft.com/.default", api: "https://graph.microsoft.com/v1.0/organization",
	}
	pin, err := os.ReadFile(s.pinFile)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, run(t.Context(), s, srv.Client(), strings.NewReader(""), &out))
	assert.Contains(t, out.String(), `signed by certtoken.Certificate("CN=my-app"`)
	assert.Contains(t, out.String(), `"client_id":"client-id"`)

	s.pinFile = ""
	require.NoError(t, run(t.Context(), s, srv.Client(), strings.NewReader(string(pin)), &out), "from the terminal")
	assert.ErrorIs(t, run(t.Context(), s, srv.Client(), strings.NewReader("000000\n"), &out), pkcs11.ErrPINRefused)
	assert.Error(t, run(t.Context(), s, srv.Client(), strings.NewReader(""), &out), "no terminal")
	s.module = ""
	assert.Error(t, run(t.Context(), s, srv.Client(), strings.NewReader(""), &out))
}
