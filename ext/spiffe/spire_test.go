package spiffe_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
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
	"github.com/certtoken/certtoken/ext/spiffe"
)

// spireFolder is the environment variable that names the folder of the programs spire-server
// and spire-agent. To compile them takes a quarter of an hour of processor time, about as much
// as all the rest of CI, so whoever changes this package runs these tests by hand: README.md
// says how.
const spireFolder = "CERTTOKEN_SPIRE"

const serverConf = `server {
	bind_address = "127.0.0.1"
	bind_port = "%[2]s"
	socket_path = "%[1]s/server.sock"
	trust_domain = "example.org"
	data_dir = "%[1]s/server"
	ca_key_type = "ec-p256"
	default_jwt_svid_ttl = "1m"
}
plugins {
	DataStore "sql" {
		plugin_data { database_type = "sqlite3", connection_string = "%[1]s/server/datastore.sqlite3" }
	}
	NodeAttestor "join_token" { plugin_data {} }
	KeyManager "memory" { plugin_data {} }
}
`

const agentConf = `agent {
	data_dir = "%[1]s/agent"
	server_address = "127.0.0.1"
	server_port = "%[2]s"
	socket_path = "%[1]s/agent.sock"
	trust_bundle_path = "%[1]s/bundle.pem"
	trust_domain = "example.org"
	workload_x509_svid_key_type = "%[3]s"
}
plugins {
	NodeAttestor "join_token" { plugin_data {} }
	KeyManager "disk" { plugin_data { directory = "%[1]s/agent" } }
	WorkloadAttestor "unix" { plugin_data {} }
}
`

// spire is a SPIRE server with an agent.
type spire struct {
	folder string // of its files; the paths of sockets are short
	agent  *exec.Cmd
}

// startSPIRE starts both. The agent's SVIDs have keys of a type as SPIRE names it.
func startSPIRE(t *testing.T, keyType string) *spire {
	t.Helper()
	if os.Getenv(spireFolder) == "" {
		t.Skipf("%s doesn't name a folder with spire-server and spire-agent, which aren't compiled in CI", spireFolder)
	}
	folder, err := os.MkdirTemp("", "spire")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(folder)) })
	s := &spire{folder: folder}
	for _, sub := range []string{"server", "agent"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, sub), 0o700))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	s.write(t, "server.conf", fmt.Sprintf(serverConf, folder, port))
	s.write(t, "agent.conf", fmt.Sprintf(agentConf, folder, port, keyType))
	s.run(t, "spire-server", "run", "-config", s.path("server.conf"))
	s.await(t, "spire-server", "healthcheck", "-socketPath", s.path("server.sock"))
	s.write(t, "bundle.pem", s.server(t, "bundle", "show", "-format", "pem"))
	said := s.server(t, "token", "generate", "-spiffeID", "spiffe://example.org/node")
	s.startAgent(t, "-joinToken", strings.TrimSpace(strings.TrimPrefix(said, "Token:")))
	return s
}

func (s *spire) startAgent(t *testing.T, args ...string) {
	t.Helper()
	s.agent = s.run(t, "spire-agent", append([]string{"run", "-config", s.path("agent.conf")}, args...)...)
	s.await(t, "spire-agent", "healthcheck", "-socketPath", s.path("agent.sock"))
}

func (s *spire) path(name string) string { return filepath.Join(s.folder, name) }

func (s *spire) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.path(name), []byte(content), 0o600))
}

// run starts a program that ends with the test.
func (s *spire) run(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(os.Getenv(spireFolder), program), args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		end(cmd)
		if t.Failed() {
			t.Logf("%s:\n%s", program, log.String())
		}
	})
	return cmd
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // by the signal
}

// await repeats a command until it succeeds.
func (s *spire) await(t *testing.T, program string, args ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return exec.Command(filepath.Join(os.Getenv(spireFolder), program), args...).Run() == nil
	}, soon, 200*time.Millisecond, "%s %v", program, args)
}

// server runs a command of spire-server and returns what it says.
func (s *spire) server(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "-socketPath", s.path("server.sock"))
	out, err := exec.Command(filepath.Join(os.Getenv(spireFolder), "spire-server"), args...).Output()
	require.NoError(t, err, "%v: %s", args, out)
	return string(out)
}

// register lets this process have an identity.
func (s *spire) register(t *testing.T, id string, args ...string) {
	t.Helper()
	s.server(t, append([]string{"entry", "create", "-parentID", "spiffe://example.org/node", "-spiffeID", id,
		"-entryID", strings.ReplaceAll(strings.TrimPrefix(id, "spiffe://example.org/"), "/", "-"),
		"-selector", fmt.Sprintf("unix:uid:%d", os.Getuid())}, args...)...)
}

func (s *spire) unregister(t *testing.T, id string) {
	t.Helper()
	s.server(t, "entry", "delete", "-entryID",
		strings.ReplaceAll(strings.TrimPrefix(id, "spiffe://example.org/"), "/", "-"))
}

func (s *spire) address() spiffe.Option { return spiffe.WithAddress("unix://" + s.path("agent.sock")) }

func (s *spire) x509Source(t *testing.T, opts ...spiffe.Option) *spiffe.X509Source {
	t.Helper()
	source, err := spiffe.NewX509Source(append(opts, s.address())...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

func (s *spire) jwtSource(t *testing.T, opts ...spiffe.Option) *spiffe.JWTSource {
	t.Helper()
	source, err := spiffe.NewJWTSource(append(opts, s.address())...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

// trusting is a token endpoint that trusts the server's bundle for an ID.
func (s *spire) trusting(t *testing.T) *certtokentest.Server {
	t.Helper()
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	require.NoError(t, server.TrustSPIFFE(clientID, appID, []byte(s.server(t, "bundle", "show", "-format", "spiffe"))))
	return server
}

// Both sources with a real server and agent: SVIDs with RSA and EC keys get tokens, and pass
// the conformance test.
func TestSPIRE(t *testing.T) {
	for _, keyType := range []string{"ec-p256", "rsa-2048"} {
		t.Run(keyType, func(t *testing.T) {
			s := startSPIRE(t, keyType)
			x509, jwts := s.x509Source(t), s.jwtSource(t, spiffe.WithJWTSPIFFE())
			_, err := x509.Certificate(t.Context())
			assert.ErrorIs(t, err, spiffe.ErrNoIdentity)
			_, err = jwts.Assertion(t.Context(), audience)
			assert.ErrorIs(t, err, spiffe.ErrNoIdentity)

			s.register(t, appID)
			require.NoError(t, x509.Wait(t.Context()))
			require.Eventually(t, func() bool {
				_, err := jwts.Assertion(t.Context(), audience)
				return err == nil
			}, soon, 100*time.Millisecond)

			server := s.trusting(t)
			for name, opt := range map[string]certtoken.AuthorityOption{
				"x5c": certtoken.WithX5C(), "TLS": certtoken.WithTLSClientAuth(),
			} {
				client, err := certtoken.NewClient(server.Authority(opt), clientID, x509,
					certtoken.WithHTTPClient(server.Client()))
				require.NoError(t, err)
				_, err = client.Token(t.Context(), "read")
				assert.NoError(t, errors.Join(err, client.Close()), name)
			}
			client, err := certtoken.NewFederatedClient(server.Authority(), clientID, jwts,
				certtoken.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			_, err = client.Token(t.Context(), "read")
			assert.NoError(t, errors.Join(err, client.Close()))
			t.Logf("claims of SPIRE's JWT-SVID: %v", claims(t, assertionOf(t, jwts, server.Issuer())))

			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return s.x509Source(t) })
		})
	}
}

// Rotations, an agent that dies and comes back, and an identity that is taken back.
func TestSPIREOverTime(t *testing.T) {
	s := startSPIRE(t, "ec-p256")
	s.register(t, appID, "-x509SVIDTTL", "20", "-hint", "mine")
	s.register(t, otherID, "-hint", "other")
	x509, jwts := s.x509Source(t, spiffe.WithHint("mine")), s.jwtSource(t, spiffe.WithID(appID))
	require.NoError(t, x509.Wait(t.Context()))
	assert.Equal(t, appID, certificate(t, x509).Leaf.URIs[0].String())
	assert.Equal(t, appID, claims(t, assertionOf(t, jwts, audience))["sub"])
	assert.Equal(t, otherID, claims(t, assertionOf(t, s.jwtSource(t, spiffe.WithHint("other")), audience))["sub"])

	seen := map[string]bool{}
	for start := time.Now(); len(seen) < 4 && time.Since(start) < 2*soon; {
		cert := certificate(t, x509) // never without one that is valid
		require.NoError(t, cert.Valid(time.Now()))
		seen[cert.Leaf.SerialNumber.String()] = true
		time.Sleep(10 * time.Millisecond)
	}
	assert.Len(t, seen, 4, "rotations")

	end(s.agent)
	require.Eventually(t, func() bool { return x509.Health() != nil }, soon, tick)
	assert.ErrorIs(t, x509.Health(), spiffe.ErrUnavailable)
	certificate(t, x509)
	assertionOf(t, jwts, audience)
	s.startAgent(t)
	require.Eventually(t, func() bool { return x509.Health() == nil }, soon, tick)
	certificate(t, x509)

	s.unregister(t, appID)
	require.Eventually(t, func() bool {
		_, err := x509.Certificate(t.Context())
		return errors.Is(err, certtoken.ErrNoCertificate)
	}, soon, tick)
	s.unregister(t, otherID)
	require.Eventually(t, func() bool {
		_, err := x509.Certificate(t.Context())
		return errors.Is(err, spiffe.ErrNoIdentity)
	}, soon, tick)
}
