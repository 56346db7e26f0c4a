package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/certtokentest"
)

// inNamespace says that the test is in a network of its own.
const inNamespace = "CERTTOKEN_INTEROP_NAMESPACE"

// agentPython is the interpreter that the outer test made ready, agentJava the class path.
const (
	agentPython = "CERTTOKEN_INTEROP_PYTHON"
	agentJava   = "CERTTOKEN_INTEROP_JAVA"
)

// Clients that nobody here wrote get tokens of the agent, unchanged. By default they
// look for other identities elsewhere, so they run in a network that has nothing but
// this machine's loopback.
func TestAgentClients(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		alone(t)
		return
	}
	a := newAgent(t)
	t.Run("azidentity", a.azidentity)
	t.Run("MSAL Go", a.msalGo)
	t.Run("clientcredentials of x/oauth2", a.clientCredentials)
	t.Run("curl", a.curl)
	t.Run("npm", func(t *testing.T) { a.inFolder(t, "node", "agent.mjs") })
	t.Run("Python's azure-identity", func(t *testing.T) {
		if os.Getenv(agentPython) == "" {
			t.Skip("azure-identity is not installed")
		}
		a.inFolder(t, os.Getenv(agentPython), "agent.py")
	})
	t.Run("Java's azure-identity", a.java)
	t.Run("refusals", a.refusals)
}

// alone runs this test again in a network namespace.
func alone(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	lacks(t, err, "the SDKs would ask other hosts: a network of its own needs unshare")
	lacks(t, exec.Command(unshare, "-rn", "ip", "link", "set", "lo", "up").Run(),
		"the SDKs would ask other hosts, and there can be no network of its own")
	for _, program := range []string{"node", "npm", "curl"} {
		_, err := exec.LookPath(program)
		lacks(t, err, program)
	}
	require.NoError(t, clientPackages())
	python, err := newestPython()
	lacks(t, err, "Python's azure-identity")
	for _, program := range []string{"mvn", "javac"} {
		_, err := exec.LookPath(program)
		lacks(t, err, program)
	}
	classes, err := javaClasses()
	require.NoError(t, err)
	own, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), unshare, "-rn", "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		own, "-test.run=^TestAgentClients$", "-test.v")
	for _, v := range cleanEnviron() { // nothing tells the SDKs of another identity
		if !strings.HasPrefix(v, "IDENTITY_") && !strings.HasPrefix(v, "MSI_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, inNamespace+"=1", agentPython+"="+python, agentJava+"="+classes)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	require.Contains(t, string(out), "--- PASS: TestAgentClients/npm")
	require.Contains(t, string(out), "--- PASS: TestAgentClients/Python's_azure-identity")
	require.Contains(t, string(out), "--- PASS: TestAgentClients/Java's_azure-identity")
}

// agentStage is an agent with the token endpoint behind it.
type agentStage struct {
	server  *certtokentest.Server
	audit   *locked
	address string
	secret  string
	began   time.Time // before the first token
}

func newAgent(t *testing.T) *agentStage {
	t.Helper()
	a := &agentStage{server: certtokentest.NewServer(t), audit: &locked{},
		secret: strings.Repeat("0123456789abcdef", 4), began: time.Now()}
	cert := newCertificate(t, "agent")
	a.server.Register("my-app", cert.Leaf)
	client, err := certtoken.NewClient(a.server.Authority(), "my-app", cert,
		certtoken.WithHTTPClient(a.server.Client()), patient)
	require.NoError(t, err)
	made, err := agent.New(agent.Config{
		Identities: []agent.Identity{{
			Name: "billing", ClientID: "my-app", Client: client,
			Scopes:  []string{clientResource + "/.default", "https://*.vault.azure.net/.default"},
			Callers: []agent.Caller{agent.Secret("app", a.secret)},
		}},
		Audit: slog.New(slog.NewTextHandler(a.audit, nil)),
	})
	require.NoError(t, err)
	listener, err := agent.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	a.address = listener.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- made.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, made.Close())
		<-ended
		require.NoError(t, client.Close())
	})
	t.Setenv("IDENTITY_ENDPOINT", a.endpoint(agent.AppServicePath))
	t.Setenv("IDENTITY_HEADER", a.secret)
	return a
}

// locked is a log that is written and read at once.
type locked struct {
	mu sync.Mutex
	w  bytes.Buffer
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.String()
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (a *agentStage) endpoint(path string) string { return "http://" + a.address + path }

// check wants a token to be one that the server granted for the scope.
func (a *agentStage) check(t *testing.T, token, scope string) {
	t.Helper()
	for _, r := range a.server.Requests() {
		if token != "" && r.AccessToken == token {
			assert.Equal(t, scope, r.Scope)
			return
		}
	}
	t.Errorf("the token is not the server's: %q", token)
}

// checkEnd wants the end of a token to be an hour after it was granted, which was some time in
// this test: the agent has kept it since.
func (a *agentStage) checkEnd(t *testing.T, end time.Time) {
	t.Helper()
	assert.False(t, end.Before(a.began.Add(time.Hour-time.Minute)), end)
	assert.False(t, end.After(time.Now().Add(time.Hour+time.Minute)), end)
}

func (a *agentStage) azidentity(t *testing.T) {
	managed, err := azidentity.NewManagedIdentityCredential(nil)
	require.NoError(t, err)
	user, err := azidentity.NewManagedIdentityCredential(
		&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID("my-app")})
	require.NoError(t, err)
	chain, err := azidentity.NewDefaultAzureCredential(nil)
	require.NoError(t, err)
	for name, credential := range map[string]azcore.TokenCredential{"managed": managed, "user": user,
		"default": chain} {
		t.Run(name, func(t *testing.T) {
			options := policy.TokenRequestOptions{Scopes: []string{clientResource + "/.default"}}
			token, err := credential.GetToken(t.Context(), options)
			require.NoError(t, err)
			a.check(t, token.Token, clientResource+"/.default")
			a.checkEnd(t, token.ExpiresOn)
		})
	}
}

func (a *agentStage) msalGo(t *testing.T) {
	client, err := managedidentity.New(managedidentity.SystemAssigned())
	require.NoError(t, err)
	token, err := client.AcquireToken(t.Context(), "https://mine.vault.azure.net")
	require.NoError(t, err)
	a.check(t, token.AccessToken, "https://mine.vault.azure.net/.default")
}

func (a *agentStage) clientCredentials(t *testing.T) {
	for name, style := range map[string]oauth2.AuthStyle{
		"basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams, "found out": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{
				ClientID: "my-app", ClientSecret: a.secret, TokenURL: a.endpoint(agent.OAuthPath),
				Scopes: []string{clientResource + "/.default"}, AuthStyle: style,
			}
			token, err := config.Token(t.Context())
			require.NoError(t, err)
			a.check(t, token.AccessToken, clientResource+"/.default")
			a.checkEnd(t, token.Expiry)
		})
	}
}

func (a *agentStage) curl(t *testing.T) {
	ask := func(args ...string) map[string]any {
		args = append([]string{"--silent", "--show-error"}, args...)
		out, err := exec.CommandContext(t.Context(), "curl", args...).Output()
		require.NoError(t, err)
		var answer map[string]any
		require.NoError(t, json.Unmarshal(out, &answer), "%s", out)
		return answer
	}
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {clientResource}}
	answer := ask("-H", "X-IDENTITY-HEADER: "+a.secret, a.endpoint(agent.AppServicePath)+"?"+query.Encode())
	a.check(t, answer["access_token"].(string), clientResource+"/.default")
	answer = ask("-u", "my-app:"+a.secret, "-d", "grant_type=client_credentials",
		"-d", "scope="+clientResource+"/.default", a.endpoint(agent.OAuthPath))
	a.check(t, answer["access_token"].(string), clientResource+"/.default")
}

// inFolder asks by each way that a program of the folder clients knows.
func (a *agentStage) inFolder(t *testing.T, name string, args ...string) {
	p := a.start(t, name, args...)
	require.Empty(t, p.ask(t, map[string]any{
		"op": "setup", "clientID": "my-app", "secret": a.secret, "endpoint": a.endpoint(agent.OAuthPath),
	}).Error)
	asked := 0
	for _, op := range []string{"managed", "user", "default", "msal", "basic", "post"} {
		t.Run(op, func(t *testing.T) {
			r := p.ask(t, job{Op: op, Scope: clientResource + "/.default"})
			if r.Unsupported {
				t.Skip("it has no such way")
			}
			require.Empty(t, r.Error)
			a.check(t, r.Token, clientResource+"/.default")
			asked++
		})
	}
	assert.GreaterOrEqual(t, asked, 3)
	before := len(a.server.Requests())
	r := p.ask(t, job{Op: "managed", Scope: "https://management.azure.com/.default"})
	assert.NotEmpty(t, r.Error)
	assert.Contains(t, r.Error, "not in the identity's list", "the reason is shown to the user")
	assert.Len(t, a.server.Requests(), before)
}

func (a *agentStage) start(t *testing.T, name string, args ...string) *inFolder {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "clients"
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p := &inFolder{in: in, out: bufio.NewScanner(out), kill: func() { _ = cmd.Process.Kill() },
		stderr: new(bytes.Buffer)}
	p.out.Buffer(nil, 1<<20)
	cmd.Stderr = p.stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // the program's signal to end
		defer time.AfterFunc(clientStop, p.kill).Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote to stderr:\n%s", args[0], p.stderr)
		}
	})
	return p
}

func (a *agentStage) java(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "java", "-cp", os.Getenv(agentJava),
		"Agent", "my-app", clientResource+"/.default")
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	require.NoError(t, err, trouble.String())
	tokens := strings.Fields(string(out))
	require.Len(t, tokens, 3)
	for _, token := range tokens {
		a.check(t, token, clientResource+"/.default")
	}
}

// refusals aren't repeated by anybody: each took one request to the agent.
func (a *agentStage) refusals(t *testing.T) {
	count := func(f func()) int {
		before := strings.Count(a.audit.String(), "token refused")
		f()
		return strings.Count(a.audit.String(), "token refused") - before
	}
	ask := func(ctx context.Context, scope string) {
		credential, err := azidentity.NewManagedIdentityCredential(nil)
		require.NoError(t, err)
		_, err = credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		require.Error(t, err)
	}
	assert.Equal(t, 1, count(func() { ask(t.Context(), "https://management.azure.com/.default") }))
	assert.Equal(t, 1, count(func() { ask(t.Context(), "https://x.vault.azure.net.evil.example/.default") }))
	t.Setenv("IDENTITY_HEADER", strings.Repeat("0", 64))
	assert.Equal(t, 1, count(func() { ask(t.Context(), "https://another.vault.azure.net/.default") }))
}
