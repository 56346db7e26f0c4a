package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// What is fetched once, and kept in the user's cache.
const (
	modKubelogin     = "github.com/Azure/kubelogin"
	kubeloginVersion = "0.2.21"
)

// pythonPackages are the ones that Debian hasn't, or has old.
var pythonPackages = []string{"azure-identity==1.27.0", "msal==1.39.0"}

// pypiVersion is that of one of pythonPackages.
func pypiVersion(name string) func(*testing.T) string {
	return func(t *testing.T) string {
		for _, p := range pythonPackages {
			if rest, ok := strings.CutPrefix(p, name+"=="); ok {
				return rest
			}
		}
		require.Fail(t, name+" is not in the list")
		return ""
	}
}

// newestPython is an interpreter that has pythonPackages.
var newestPython = sync.OnceValues(func() (string, error) { return pythonWith(pythonPackages...) })

// newPython starts a program of Python's with pythonPackages.
func newPython(program string) func(*stage) user {
	return func(s *stage) user {
		python, err := newestPython()
		lacks(s.T, err, s.library.name+" needs Python and its packages")
		return s.startAlone(python, program)
	}
}

// javaClasses is the class path of all that is in clients/java, compiled, and of the
// libraries, which stay in Maven's own cache.
var javaClasses = sync.OnceValues(func() (string, error) {
	folder := filepath.Join("clients", "java")
	sources, err := filepath.Glob(filepath.Join(folder, "*.java"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range append([]string{filepath.Join(folder, "pom.xml")}, sources...) {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", file, len(data), data)
	}
	name := "java-" + hex.EncodeToString(sum.Sum(nil)[:8])
	libraries, err := classPath(folder)
	if err != nil {
		return "", err
	}
	compiled, err := kept(name, func(to string) error {
		return run("", nil, "javac", append([]string{"-nowarn", "-d", to, "-cp", libraries}, sources...)...)
	})
	return compiled + string(os.PathListSeparator) + libraries, err
})

// java starts a class of clients/java.
func java(class string) func(*stage) user {
	return func(s *stage) user {
		for _, program := range []string{"mvn", "javac"} {
			_, err := exec.LookPath(program)
			lacks(s.T, err, s.library.name+" needs a JDK and Maven")
		}
		classes, err := javaClasses()
		lacks(s.T, err, s.library.name+" can't be fetched")
		_, port, _ := strings.Cut(s.openedProxy().Host, ":")
		return s.startAlone("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
			"-Djavax.net.ssl.trustStore="+s.trustStore(), "-Djavax.net.ssl.trustStorePassword=changeit",
			"-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort="+port, "-Dhttp.nonProxyHosts=",
			"-cp", classes, class)
	}
}

// trustStore is a file with the server's CA in Java's form.
func (s *stage) trustStore() string {
	block, _ := pem.Decode(s.server.CAPEM())
	ca, err := x509.ParseCertificate(block.Bytes)
	require.NoError(s, err)
	entries := []pkcs12.TrustStoreEntry{{Cert: ca, FriendlyName: "certtokentest"}}
	data, err := pkcs12.Modern.EncodeTrustStoreEntries(entries, "changeit")
	require.NoError(s, err)
	file := filepath.Join(s.TempDir(), "ca.p12")
	require.NoError(s, os.WriteFile(file, data, 0o600))
	return file
}

// mavenVersion is that of clients/java/pom.xml.
func mavenVersion(artifact string) func(*testing.T) string {
	return func(t *testing.T) string {
		data, err := os.ReadFile(filepath.Join("clients", "java", "pom.xml"))
		require.NoError(t, err)
		var pom struct {
			Dependencies []struct {
				Artifact string `xml:"artifactId"`
				Version  string `xml:"version"`
			} `xml:"dependencies>dependency"`
		}
		require.NoError(t, xml.Unmarshal(data, &pom))
		for _, d := range pom.Dependencies {
			if d.Artifact == artifact {
				return d.Version
			}
		}
		require.Fail(t, artifact+" is not in pom.xml")
		return ""
	}
}

// ruby starts a program of Ruby's, with a library of Debian's.
func ruby(library, program string) func(*stage) user {
	return func(s *stage) user {
		lacks(s.T, exec.Command("/usr/bin/ruby", "-e", "require '"+library+"'").Run(), "Debian's ruby-"+library)
		return s.startAlone("/usr/bin/ruby", program)
	}
}

// perToken is a command that is run for each token.
type perToken struct {
	settings setup
	key      string // the file with key and certificate, new for each setup
	folder   string // where the command keeps what it keeps
	ask      func(ctx context.Context, p *perToken, j job) (string, error)
	stage    *stage
	signedIn bool // az has said who it is
}

func (p *perToken) setup(t *testing.T, s setup) {
	t.Helper()
	p.settings, p.signedIn = s, false
	p.key = filepath.Join(t.TempDir(), "private.pem")
	require.NoError(t, os.WriteFile(p.key, []byte(s.Key+s.Cert), 0o600))
}

func (p *perToken) do(t *testing.T, j job) result {
	t.Helper()
	if j.Op != "token" {
		return result{Unsupported: true}
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientAnswer)
	defer cancel()
	token, err := p.ask(ctx, p, j)
	if err != nil {
		return result{Error: err.Error()}
	}
	return result{Token: token}
}

// run runs the command in a network of its own and reads the JSON that it prints. What
// it writes to standard error is what its user reads.
func (p *perToken) run(ctx context.Context, answer any, name string, args ...string) error {
	cmd := p.stage.alone(ctx, name, args...)
	cmd.Env = append(cmd.Env, "HOME="+p.folder, "AZURE_CONFIG_DIR="+p.folder, "AZURE_CORE_COLLECT_TELEMETRY=no")
	cmd.WaitDelay = clientStop
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, trouble.String())
	}
	return json.Unmarshal(out, answer)
}

// kubeloginProgram builds Azure's kubelogin.
var kubeloginProgram = sync.OnceValues(func() (string, error) {
	folder, err := kept("kubelogin-"+kubeloginVersion, func(folder string) error {
		return download(os.TempDir(), []string{"GOWORK=off", "GOFLAGS=", "GOBIN=" + folder},
			"go", "install", modKubelogin+"@v"+kubeloginVersion)
	})
	return filepath.Join(folder, "kubelogin"), err
})

// newKubelogin is the credential plugin of kubectl, for a service principal.
func newKubelogin(s *stage) user {
	program, err := kubeloginProgram()
	lacks(s.T, err, "kubelogin can't be built")
	return &perToken{stage: s, folder: s.TempDir(), ask: func(ctx context.Context, p *perToken, j job) (string, error) {
		var answer struct {
			Status struct{ Token string }
		}
		tenant := p.settings.Authority[strings.LastIndex(p.settings.Authority, "/")+1:]
		args := []string{
			"get-token", "--login", "spn", "--tenant-id", tenant, "--client-id", p.settings.ClientID,
			"--client-certificate", p.key, "--server-id", strings.TrimSuffix(j.Scope, "/.default"),
		}
		if p.settings.Known {
			host := strings.TrimSuffix(p.settings.Authority, tenant)
			args = append(args, "--authority-host", host, "--disable-instance-discovery")
		}
		err := p.run(ctx, &answer, program, args...)
		return answer.Status.Token, err
	}}
}

// azProgram is Debian's, whichever else is in the PATH.
const azProgram = "/usr/bin/az"

// newAz is the Azure CLI: a login, and then tokens of its cache, for its own API.
func newAz(s *stage) user {
	_, err := os.Stat(azProgram)
	lacks(s.T, err, "Debian's azure-cli is not installed")
	api := s.server.Resource("https://management.core.windows.net/", http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"value":[]}`)) // no subscriptions
		}))
	s.server.Handle("management.azure.com/", api)
	p := &perToken{stage: s, folder: s.TempDir(), ask: askAz}
	index, err := kept("azure-cli", func(folder string) error {
		ready := &perToken{stage: s, folder: folder}
		var accounts []struct{ ID string }
		return ready.run(s.Context(), &accounts, azProgram, "account", "list")
	})
	require.NoError(s, err)
	if data, err := os.ReadFile(filepath.Join(index, azIndex)); err == nil {
		require.NoError(s, os.WriteFile(filepath.Join(p.folder, azIndex), data, 0o600))
	}
	return p
}

// azIndex is a file of az's that takes long to make. az makes it anew where there is none
// or another version's.
const azIndex = "commandIndex.json"

func askAz(ctx context.Context, p *perToken, _ job) (string, error) {
	if !p.signedIn {
		var accounts []struct{ ID string }
		tenant := p.settings.Authority[strings.LastIndex(p.settings.Authority, "/")+1:]
		if err := p.run(ctx, &accounts, azProgram, "login", "--service-principal", "--username", p.settings.ClientID,
			"--password", p.key, "--tenant", tenant, "--allow-no-subscriptions"); err != nil {
			return "", err
		}
		p.signedIn = true
	}
	var answer struct{ AccessToken string }
	err := p.run(ctx, &answer, azProgram, "account", "get-access-token")
	return answer.AccessToken, err
}
