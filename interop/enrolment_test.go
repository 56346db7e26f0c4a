package interop

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// enrolled is what the programs that get certificates from a CA are told.
const enrolled = "billing.example"

// enrolmentTool gets certificates by ACME (RFC 8555) and renews them. Its commands are those
// of docs/rotation.md, but for the CA and the folder.
type enrolmentTool struct {
	program      string
	caVariable   string // the environment variable that names the CA of the ACME server
	first, renew []string
	source       func(folder string) certtoken.CertSource
}

// The folder is the program's own; FOLDER, SERVER and PORT stand for what the test has.
var enrolmentTools = map[string]enrolmentTool{
	"lego": {
		program: "lego", caVariable: "LEGO_CA_CERTIFICATES",
		first: []string{
			"--accept-tos", "--email", "ops@billing.example", "--server", "SERVER", "--path", "FOLDER", "--key-type",
			"rsa2048",
			"--http", "--http.port", "127.0.0.1:PORT", "--domains", enrolled, "run",
		},
		renew: []string{
			"--accept-tos", "--email", "ops@billing.example", "--server", "SERVER", "--path", "FOLDER", "--key-type",
			"rsa2048",
			"--http", "--http.port", "127.0.0.1:PORT", "--domains", enrolled, "renew", "--days", "10000",
			"--no-random-sleep",
		},
		source: func(folder string) certtoken.CertSource {
			files := filepath.Join(folder, "certificates", enrolled)
			return certtoken.CertFile(files+".crt", certtoken.WithKeyFile(files+".key"))
		},
	},
	"certbot": {
		program: "certbot", caVariable: "REQUESTS_CA_BUNDLE",
		first: []string{
			"certonly", "--non-interactive", "--agree-tos", "--email", "ops@billing.example", "--server", "SERVER",
			"--config-dir", "FOLDER", "--work-dir", "FOLDER/work", "--logs-dir", "FOLDER/logs",
			"--standalone", "--http-01-port", "PORT", "--key-type", "rsa", "--domain", enrolled,
		},
		renew: []string{
			"renew", "--non-interactive", "--force-renewal", "--no-random-sleep-on-renew",
			"--config-dir", "FOLDER", "--work-dir", "FOLDER/work", "--logs-dir", "FOLDER/logs",
		},
		source: func(folder string) certtoken.CertSource {
			files := filepath.Join(folder, "live", enrolled)
			return certtoken.CertFile(filepath.Join(files, "fullchain.pem"),
				certtoken.WithKeyFile(filepath.Join(files, "privkey.pem")))
		},
	},
}

// acmeServer is Debian's pebble, an ACME server for tests.
type acmeServer struct {
	directory string // its URL
	caFile    string // of its TLS certificate
	root      *x509.Certificate
}

func startACME(t *testing.T) acmeServer {
	t.Helper()
	_, err := exec.LookPath("pebble")
	lacks(t, err, "no ACME server can be asked")
	folder := t.TempDir()
	own := newTLSCertificate(t)
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	require.NoError(t, os.WriteFile(certFile, []byte(own.certPEM), 0o600))
	require.NoError(t, os.WriteFile(keyFile, []byte(own.keyPEM), 0o600))
	confFile := filepath.Join(folder, "pebble.json")
	ports := startServer(t, 2, func(ports []string) []string {
		conf, err := json.Marshal(map[string]any{"pebble": map[string]any{
			"listenAddress": "127.0.0.1:" + ports[0], "managementListenAddress": "127.0.0.1:" + ports[1],
			"certificate": certFile, "privateKey": keyFile, "httpPort": 5002, "tlsPort": 5001,
		}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(confFile, conf, 0o600))
		// It takes every name for proven: there is no such host.
		return []string{
			"env", "PEBBLE_VA_ALWAYS_VALID=1", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0",
			"pebble", "-config", confFile,
		}
	})
	port, managing := ports[0], ports[1]

	resp, err := own.client(t).Get("https://127.0.0.1:" + managing + "/roots/0")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	root, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return acmeServer{"https://127.0.0.1:" + port + "/dir", certFile, root}
}

// The files that ACME clients write are followed: a certificate that they renew is the one
// that signs next. The server trusts the subject and the CA, so that nobody has to register
// the new one.
func TestFilesOfEnrolmentToolsAreFollowed(t *testing.T) {
	t.Parallel()
	for _, tool := range enrolmentTools {
		_, err := exec.LookPath(tool.program)
		lacks(t, err, "no certificates can be enrolled")
	}
	acme := startACME(t)
	for name, tool := range enrolmentTools {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			port, err := freePort()
			require.NoError(t, err)
			run := func(args []string) {
				replaced := make([]string, len(args))
				for i, arg := range args {
					replaced[i] = strings.NewReplacer("FOLDER", folder, "SERVER", acme.directory, "PORT",
						port).Replace(arg)
				}
				cmd := exec.CommandContext(t.Context(), tool.program, replaced...)
				cmd.Env = append(os.Environ(), tool.caVariable+"="+acme.caFile)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			run(tool.first)

			srv := certtokentest.New(certtokentest.WithIssuer("https://idp.example"))
			srv.TrustSubject("billing", enrolled, acme.root)
			client, err := certtoken.NewClient(srv.Authority(certtoken.WithX5C()), "billing", tool.source(folder),
				certtoken.WithHTTPClient(srv.Client()), patient)
			require.NoError(t, err)
			defer client.Close()
			signer := func() *x509.Certificate {
				_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
				require.NoError(t, err)
				return srv.LastRequest().Certificate
			}
			first := signer()
			run(tool.renew)
			second := signer()
			assert.NotEqual(t, first.SerialNumber, second.SerialNumber)
			assert.NotEqual(t, first.PublicKey, second.PublicKey)
		})
	}
}
