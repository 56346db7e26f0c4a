package interop

import (
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	keycloakVersion = "26.7.3"
	keycloakRealm   = "interop"
	keycloakAdmin   = "interop-admin" // the client id by which the tests administer it

	keycloakAtOnce = 3                // trials
	keycloakStart  = 20 * time.Minute // until it answers; half a minute of a processor's time
)

// keycloakBuild are the options that Keycloak compiles in. The compiled server is
// kept for the next run.
var keycloakBuild = []string{"--db=dev-mem", "--https-client-auth=request"}

// keycloak is a server of its own process, with its database in memory. It serves
// all tests, as its start takes long.
type keycloak struct {
	url     string
	http    *http.Client
	tls     tlsCertificate
	ca      *certtoken.Certificate // of client certificates
	secret  string                 // of keycloakAdmin
	folder  string                 // of its files
	process *held

	places chan struct{} // for trials: with 16 at once, its database in memory stalls for half a minute

	mu     sync.Mutex
	admin  string    // an access token
	before time.Time // when admin ends
}

// theKeycloak is started by the first test that needs it, and ended by TestMain.
var theKeycloak = new(sharedKeycloak)

type sharedKeycloak struct {
	once sync.Once
	*keycloak
	err error
}

func (s *sharedKeycloak) String() string { return "Keycloak" }

func (s *sharedKeycloak) start() error {
	s.once.Do(func() { s.keycloak, s.err = startKeycloak() })
	return s.err
}

func (s *sharedKeycloak) stop() (said string) {
	if s.keycloak == nil {
		return ""
	}
	s.keycloak.stop()
	return ""
}

// lacksKeycloak returns what is missing for Keycloak. The first call fetches and
// compiles it.
func lacksKeycloak() error {
	_, err := installedKeycloak()
	return err
}

var installedKeycloak = sync.OnceValues(builtKeycloak)

// startedKeycloak is the server that all tests share. A test that can't have it is
// skipped, and fails on CI.
func startedKeycloak(t *testing.T) *keycloak {
	t.Helper()
	lacks(t, lacksKeycloak(), "Keycloak can't be asked")
	require.NoError(t, theKeycloak.start())
	return theKeycloak.keycloak
}

func startKeycloak() (*keycloak, error) {
	program, err := installedKeycloak()
	if err != nil {
		return nil, err
	}
	var failure error
	for range 3 { // another process may take the port
		k, err := runKeycloak(program)
		if err == nil {
			return k, nil
		}
		failure = err
		if !strings.Contains(err.Error(), "already in use") {
			break
		}
	}
	return nil, failure
}

func runKeycloak(program string) (*keycloak, error) {
	folder, err := os.MkdirTemp("", "certtoken-keycloak-*")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	tlsCert, err := makeTLSCertificate()
	if err != nil {
		return nil, err
	}
	k := &keycloak{
		url: "https://127.0.0.1:" + port, tls: tlsCert, secret: rand.Text(),
		folder: folder, places: make(chan struct{}, keycloakAtOnce),
	}
	k.http = &http.Client{Transport: trusting(k.tls.pool), Timeout: programAnswer}
	k.ca, err = clientCA()
	if err != nil {
		return nil, err
	}
	if err := k.run(program, port); err != nil {
		k.stop()
		return nil, err
	}
	if err := k.importRealm(); err != nil {
		k.stop()
		return nil, err
	}
	return k, nil
}

// run starts the process and waits until it answers.
func (k *keycloak) run(program, port string) (err error) {
	file := func(name, content string) string {
		path := filepath.Join(k.folder, name)
		err = errors.Join(err, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	trusted, err := trustedClients()
	if err != nil {
		return err
	}
	command := []string{
		"sh", filepath.Join(program, "keycloak-"+keycloakVersion, "bin", "kc.sh"), "start", "--optimized",
		"--http-host=127.0.0.1", "--https-port=" + port, "--hostname=" + k.url, "--cache=local",
		// It fetches a client's keys from this process, which may be slow on a busy machine.
		"--spi-connections-http-client--default--socket-timeout-millis=" +
			strconv.FormatInt(programAnswer.Milliseconds(), 10),
		"--https-certificate-file=" + file("server.pem", k.tls.certPEM),
		"--https-certificate-key-file=" + file("server.key", k.tls.keyPEM),
		"--truststore-paths=" + file("clients.pem", trusted) + "," + file("own.pem", k.tls.certPEM),
	}
	if err != nil {
		return err
	}
	k.process, err = startHeld(k.folder, []string{
		"KC_BOOTSTRAP_ADMIN_CLIENT_ID=" + keycloakAdmin, "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET=" + k.secret,
		"JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1 -Xmx768m", // starts sooner, takes less
	}, command...)
	if err != nil {
		return err
	}
	return k.process.await(keycloakStart, func() bool {
		resp, err := k.http.Get(k.url + "/realms/master")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (k *keycloak) stop() {
	k.http.CloseIdleConnections()
	if k.process != nil {
		k.process.stop()
	}
	_ = os.RemoveAll(k.folder)
}

// builtKeycloak is the folder of a compiled Keycloak. It comes from Maven's local
// repository, or through it, and is kept in the user's cache for the next run.
func builtKeycloak() (string, error) {
	for _, program := range []string{"sh", "java"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", err
		}
	}
	options := strings.Join(keycloakBuild, "")
	return kept("keycloak-built-"+keycloakVersion+options, func(folder string) error {
		err := maven(folder, "unpack", "-DoutputDirectory="+folder,
			"-Dartifact=org.keycloak:keycloak-quarkus-dist:"+keycloakVersion+":zip")
		if err != nil {
			return err
		}
		fresh := filepath.Join(folder, "keycloak-"+keycloakVersion)
		return run("", nil, "sh", append([]string{filepath.Join(fresh, "bin", "kc.sh"), "build"}, keycloakBuild...)...)
	})
}

func pemOf(c *certtoken.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}))
}
