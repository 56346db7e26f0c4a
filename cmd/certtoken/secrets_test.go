package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// Secrets that are told apart from everything else.
const (
	filePassword  = "pa55w0rd-of-the-file-Zq7"
	wrongPassword = "wr0ng-passw0rd-Xk3"
	outPassword   = "pa55w0rd-of-the-new-file-Vm9"
	urlPassword   = "pa55w0rd-in-a-URL-Tb2"
	proxyPassword = "pa55w0rd-of-the-proxy-Hd8"
	flagPassword  = "pa55w0rd-by-mistake-Lw5"
)

// What a case may show, as that is what it was asked for.
const (
	theToken     = "an access token"
	theAssertion = "an assertion"
)

// What each command prints, done or failed, holds no secret but the one that it
// was asked for.
func TestCommandsShowNoSecret(t *testing.T) {
	t.Parallel()
	w := newSecretWorld(t)
	t.Run("commands", func(t *testing.T) {
		for i, c := range append(askCases(), certCases(w.grant(t))...) {
			if testing.Short() && i%8 != 0 {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				w.run(t, c)
			})
		}
	})
	t.Run("every file that holds a key is found", func(t *testing.T) {
		if testing.Short() {
			t.Skip("requires the files that all commands make")
		}
		for _, name := range []string{
			"app.key", "app.jwk", "pair.pem", "converted.pem", "new2/private.pem", "new6/private.pem",
			"csr1/private.key", "csr2/private.key",
		} {
			data, err := os.ReadFile(filepath.Join(w.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if !w.secrets.find(string(data))["a private key"] {
				t.Errorf("the key in %s isn't found", name)
			}
		}
	})
}

// secretWorld is a folder of files, endpoints that grant, and all that is secret
// in them.
type secretWorld struct {
	dir       string
	endpoints chan *endpoints // each is used by one command at a time
	secrets   *secrets
}

// endpoints are what a command asks.
type endpoints struct {
	entra  *certtokentest.Server
	issuer *certtokentest.Server // for --mtls, which Entra ID's dialect has at an endpoint of its own
}

// endpointPairs is how many commands can run side by side.
const endpointPairs = 8

func newSecretWorld(t *testing.T) *secretWorld {
	t.Helper()
	w := &secretWorld{dir: t.TempDir(), endpoints: make(chan *endpoints, endpointPairs), secrets: newSecrets()}
	for what, secret := range map[string]string{
		"the password": filePassword, "the wrong password": wrongPassword, "the new password": outPassword,
		"the URL's password": urlPassword, "the proxy's password": proxyPassword,
		"a password given by mistake": flagPassword,
	} {
		w.secrets.text(what, secret)
	}
	app := certtokentest.NewCertificate(t, certtokentest.WithSubject("app"))
	other := certtokentest.NewCertificate(t, certtokentest.WithSubject("other"), certtokentest.WithSharedKey())
	w.secrets.key(app.Signer)
	w.secrets.key(other.Signer)

	var cas []byte
	for range endpointPairs {
		e := &endpoints{certtokentest.NewServer(t), certtokentest.NewServer(t, certtokentest.WithIssuer(""))}
		for _, server := range []*certtokentest.Server{e.entra, e.issuer} {
			server.Register("app", app.Leaf)
			cas = append(cas, server.CAPEM()...)
		}
		w.endpoints <- e
	}
	w.write(t, "ca.pem", cas)
	w.write(t, "public.cer", app.Leaf.Raw)
	w.write(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Leaf.Raw}))
	w.write(t, "password", []byte(filePassword+"\n"))
	w.write(t, "out-password", []byte(outPassword+"\n"))
	for name, file := range map[string]struct {
		cert   *certtoken.Certificate
		format selfsigned.PFXForm
	}{
		"private.pfx": {app, selfsigned.PFXLegacy}, // which opens in a fraction of the time: most cases use it
		"other.pfx":   {other, selfsigned.PFXModern},
	} {
		data, err := selfsigned.EncodePFX(file.cert, filePassword, file.format)
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, name, data)
		w.write(t, "cut.pfx", data[:len(data)*2/3])
	}
	pair, err := selfsigned.EncodePEM(app)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "pair.pem", pair)
	one := privateJWK(t, app.Signer)
	w.write(t, "app.jwk", one)
	w.write(t, "broken.jwk", bytes.Replace(one, []byte(`"AQAB"`), []byte(`"AQAC"`), 1))
	w.write(t, "broken.pem", bytes.ReplaceAll(pair, []byte("\nM"), []byte("\n!M")))
	for name, cert := range map[string]*certtoken.Certificate{"app.key": app, "other.key": other} {
		der, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return w
}

func (w *secretWorld) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// command is certtoken in the folder, with the passwords in its environment.
func (w *secretWorld) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "certtoken", args...)
	cmd.Dir = w.dir
	cmd.Env = append(cleanEnviron(), "TZ=UTC", envPassword+"="+filePassword, "OUT="+outPassword)
	return cmd
}

// grant is a token that the endpoint has granted.
func (w *secretWorld) grant(t *testing.T) string {
	t.Helper()
	e := <-w.endpoints
	defer func() { w.endpoints <- e }()
	out, err := w.command(t.Context(), append([]string{"token"}, e.target()...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// target are the flags by which Entra ID's endpoint grants a token.
func (e *endpoints) target() []string {
	return []string{"--authority", "entra", "--token-url", e.entra.TokenURL(), "--client-id", "app",
		"--cert", "private.pfx", "--ca", "ca.pem", "--scope", "https://graph.microsoft.com/.default"}
}

func (w *secretWorld) run(t *testing.T, c secretCase) {
	e := <-w.endpoints
	defer func() { w.endpoints <- e }()
	endpoint, target, says := e.entra, e.target(), c.says
	if slices.Contains(strings.Fields(c.args), "--mtls") {
		endpoint, says = e.issuer, strings.Replace(says, "AADSTS700027", "invalid_client", 1)
		target = append(target, "--authority", endpoint.Issuer(), "--token-url", endpoint.TokenURL())
	}
	endpoint.ClearFaults()
	if c.fault != "" {
		endpoint.FailFunc(endpointFaults[c.fault].fault)
	}
	var args []string
	for _, word := range strings.Fields(c.args) {
		if word == "$TARGET" {
			args = append(args, target...)
			continue
		}
		args = append(args, strings.ReplaceAll(word, "␣", " "))
	}
	var stdout, stderr bytes.Buffer
	cmd := w.command(t.Context(), args...)
	// Each has a cache of its own. In a common one, a token of another case would be found for
	// the same endpoint, once a minute has passed in which the same parent isn't given it again.
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+privateFolder(t))
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	w.learn(t, e, c, stdout.String())
	w.check(t, c.shows, stdout.String(), stderr.String())
	if t.Failed() { // then nothing may be printed here either
		return
	}
	if got := cmd.ProcessState.ExitCode(); got != c.status {
		t.Errorf("exit status %d, want %d: %s%s", got, c.status, &stdout, &stderr)
	}
	if !strings.Contains(stdout.String()+stderr.String(), says) {
		t.Errorf("%q isn't said: %s%s", says, &stdout, &stderr)
	}
}

// privateFolder is one that nobody else can enter, as the cache wants it.
func privateFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// learn adds what became secret in a run: what was sent, granted, made.
func (w *secretWorld) learn(t *testing.T, e *endpoints, c secretCase, stdout string) {
	t.Helper()
	for _, r := range append(e.entra.Requests(), e.issuer.Requests()...) {
		w.secrets.jwt(theAssertion, r.Assertion)
		w.secrets.jwt(theToken, r.AccessToken)
	}
	e.entra.Reset()
	e.issuer.Reset()
	if c.shows == theAssertion {
		w.secrets.jwt(theAssertion, anyJWTIn(stdout))
	}
	if c.stdin != "" { // its claims are shown, it isn't
		w.secrets.jwt(theToken, c.stdin)
	}
	if c.made == "" {
		return
	}
	data, err := os.ReadFile(filepath.Join(w.dir, c.made))
	if err != nil {
		t.Fatal(err)
	}
	parse := certtoken.ParseCertificate
	if strings.HasSuffix(c.made, ".key") {
		parse = certtoken.ParseKey
	}
	cert, err := parse(data, certtoken.WithPassword(outPassword))
	if err != nil {
		t.Fatal(err)
	}
	w.secrets.key(cert.Signer)
}

func anyJWTIn(text string) string {
	return regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`).FindString(text)
}

// check looks for every secret, and names what it found without printing it.
func (w *secretWorld) check(t *testing.T, shows, stdout, stderr string) {
	t.Helper()
	found := w.secrets.find(stdout)
	if shows != "" && !found[shows] {
		t.Errorf("%s isn't found in standard output, where it belongs", shows)
	}
	delete(found, shows)
	for what := range found {
		t.Errorf("%s is in standard output", what)
	}
	for what := range w.secrets.find(stderr) {
		t.Errorf("%s is in standard error", what)
	}
	if shows == "" && beginsJWT(stdout) || beginsJWT(stderr) {
		t.Error("something is printed that begins as a JWT does")
	}
}

// What "certtoken serve" prints and logs, whatever it was sent.
func TestServeShowsNoSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no interrupt to end the server with")
	}
	t.Parallel()
	w := newSecretWorld(t)
	for name, flags := range map[string][]string{
		"success":           nil,
		"as JSON":           {"--json"},
		"plain http":        {"--http"},
		"any OAuth server":  {"--issuer", "self"},
		"refuses":           {"--fail", "aadsts:700027"},
		"resets":            {"--fail", "reset"},
		"cuts":              {"--fail", "truncated"},
		"with another code": {"--fail", "error:invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) { w.serve(t, append([]string{"--ca-file", "serve.pem"}, flags...)) })
	}
}

var servedURL = regexp.MustCompile(`https?://[^\s"]+/token`)

// serve runs the server, asks it rightly and wrongly, and ends it.
func (w *secretWorld) serve(t *testing.T, flags []string) {
	cmd := w.command(t.Context(), append([]string{"serve", "--client", "app=pair.pem"}, flags...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	printed, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	for buf := make([]byte, 4096); !strings.Contains(stdout.String(), "--scope"); { // the end of what it prints
		n, err := printed.Read(buf)
		stdout.Write(buf[:n])
		if err != nil {
			t.Fatalf("serve: %v", err)
		}
	}
	address := servedURL.FindString(stdout.String())
	w.ask(t, address)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(printed)
	if err != nil {
		t.Fatal(err)
	}
	stdout.Write(rest)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	w.check(t, "", stdout.String(), stderr.String())
	if !strings.Contains(stderr.String(), " app") {
		t.Error("nothing was logged")
	}
}

// ask posts an assertion, posts it again, and posts what is none.
func (w *secretWorld) ask(t *testing.T, address string) {
	t.Helper()
	e := <-w.endpoints
	defer func() { w.endpoints <- e }()
	args := append([]string{"assertion"}, e.target()...)
	args = append(args, "--token-url", address, "--audience", address)
	if strings.HasPrefix(address, "http:") {
		args = append(args, "--allow-http-loopback")
	}
	out, err := w.command(t.Context(), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	assertion := strings.TrimSpace(string(out))
	w.secrets.jwt(theAssertion, assertion)
	client := w.trusting(t, address)
	for _, form := range []url.Values{
		{"client_id": {"app"}, "client_assertion": {assertion}},
		{"client_id": {"app"}, "client_assertion": {assertion}}, // a replay
		{"client_id": {"app"}, "client_assertion": {assertion[:len(assertion)-3]}},
		{"client_id": {"app"}, "client_secret": {flagPassword}},
		{"client_id": {"app"}, "client_assertion": {filePassword}},
	} {
		form.Set("grant_type", "client_credentials")
		form.Set("scope", "https://graph.microsoft.com/.default")
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		resp, err := client.PostForm(address, form)
		if err != nil {
			continue // it was reset
		}
		var granted struct {
			AccessToken string `json:"access_token"`
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && json.Unmarshal(body, &granted) == nil && granted.AccessToken != "" {
			w.secrets.jwt(theToken, granted.AccessToken)
		} else if jwt := anyJWTIn(string(body)); jwt != "" { // cut off
			w.secrets.jwt(theToken, jwt)
		}
	}
}

// trusting is a client that trusts the server's CA.
func (w *secretWorld) trusting(t *testing.T, address string) *http.Client {
	t.Helper()
	if strings.HasPrefix(address, "http:") {
		return http.DefaultClient
	}
	client, err := httpClient(t.Context(), testConsole(t), filepath.Join(w.dir, "serve.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
