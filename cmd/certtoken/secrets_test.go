package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
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

// secrets are what must not be printed, in each of the forms that it might have
// there: what each is.
type secrets map[string]string

// text adds a secret that is a text.
func (s secrets) text(what, secret string) {
	s.bytes(what, []byte(secret))
	s[secret] = what
	s[url.QueryEscape(secret)] = what
	s[url.PathEscape(secret)] = what
	quoted := strconv.Quote(secret)
	s[quoted[1:len(quoted)-1]] = what
}

func (s secrets) bytes(what string, secret []byte) {
	s[string(secret)] = what
	s[hex.EncodeToString(secret)] = what
	s[strings.ToUpper(hex.EncodeToString(secret))] = what
	s[base64.RawStdEncoding.EncodeToString(secret)] = what
	s[base64.RawURLEncoding.EncodeToString(secret)] = what
}

// jwt adds a token or an assertion by its payload and its signature; the header
// is no secret.
func (s secrets) jwt(what, jwt string) {
	for i, part := range strings.Split(jwt, ".") {
		if i > 0 {
			s.text(what, part)
		}
	}
}

// key adds a private key in pieces, so that a PEM is found however it is wrapped.
func (s secrets) key(signer any) {
	const piece = 24
	key := signer.(*rsa.PrivateKey)
	der := x509.MarshalPKCS1PrivateKey(key)
	der = der[bytes.Index(der, key.D.Bytes()):] // before it stands the public key
	for shift := range 3 {                      // three bytes are four digits of base64
		for at := shift; at+piece <= len(der); at += piece {
			s.bytes("a private key", der[at:at+piece])
		}
	}
	s[key.D.String()[:40]] = "a private key"
}

// find returns what of the secrets is in a text.
func (s secrets) find(text string) map[string]bool {
	found := make(map[string]bool)
	for secret, what := range s {
		if strings.Contains(text, secret) {
			found[what] = true
		}
	}
	return found
}

var anyJWT = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)

// secretCase is a command line and what it may show.
type secretCase struct {
	name   string
	args   string // words
	env    []string
	stdin  string
	status int
	fault  string // what the endpoint does: a key of endpointFaults
	shows  string // what was asked for: it is in the output, and nowhere else
	made   string // a PFX under outPassword that holds a new key
	says   string // part of the output, to know that the case is what it says
}

// endpointFaults are ways of the endpoint to fail, some with all that it was
// sent in its answer.
var endpointFaults = map[string]func(*certtokentest.Request) *certtokentest.Fault{
	"refuses": func(*certtokentest.Request) *certtokentest.Fault { return &certtokentest.Fault{Code: 700027} },
	"echoes": func(r *certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion + " and " + r.Form.Encode()}
	},
	"throttles": func(*certtokentest.Request) *certtokentest.Fault {
		fault := certtokentest.Throttle(0)
		return &fault
	},
	"cuts the token off": func(*certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Shape: certtokentest.TruncatedBody}
	},
	"sends a page": func(*certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Shape: certtokentest.HTML}
	},
	"grants no token": func(*certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Shape: certtokentest.NoToken}
	},
}

// askCases are those of the commands that deal with an endpoint.
func askCases() []secretCase {
	var cases []secretCase
	for _, command := range []struct {
		args, shows string
		offline     bool
		retries     bool // it also meets what is tried again, which takes its time
	}{
		{args: "token", shows: theToken},
		{args: "token --verbose", shows: theToken, retries: true},
		{args: "token --json", shows: theToken},
		{args: "token --header", shows: theToken},
		{args: "token --mtls -v", shows: theToken},
		{args: "doctor"},
		{args: "doctor --verbose --cer public.cer", retries: true},
		{args: "doctor --json", retries: true},
		{args: "assertion", shows: theAssertion, offline: true},
		{args: "assertion -v --curl --reveal", shows: theAssertion, offline: true},
		{args: "assertion --curl", offline: true},
		{args: "assertion --decode", offline: true},
	} {
		with := func(c secretCase) {
			c.args = strings.TrimSpace(command.args + " " + c.args)
			c.name = c.args + ", " + c.name
			cases = append(cases, c)
		}
		with(secretCase{name: "success", args: "$TARGET", shows: command.shows})
		with(secretCase{name: "password by name", args: "$TARGET --password-env P", env: []string{"P=" + filePassword, envPassword + "=" + wrongPassword}, shows: command.shows})
		with(secretCase{name: "password from a file", args: "$TARGET --password-file password", shows: command.shows})
		with(secretCase{name: "wrong password", args: "$TARGET", env: []string{envPassword + "=" + wrongPassword}, status: exitFailed, says: "wrong password"})
		with(secretCase{name: "no password", args: "$TARGET", env: []string{envPassword + "="}, status: exitFailed, says: "password"})
		with(secretCase{name: "another's key", args: "$TARGET --cert public.cer --key other.key", status: exitFailed, says: "key"})
		with(secretCase{name: "broken file", args: "$TARGET --cert broken.pem", status: exitFailed})
		with(secretCase{name: "key alone", args: "$TARGET --cert other.key", status: exitFailed})
		with(secretCase{name: "cut PFX", args: "$TARGET --cert cut.pfx", status: exitFailed})
		with(secretCase{name: "password as a flag", args: "$TARGET --password " + flagPassword, status: exitUsage, says: "no flag --password"})
		with(secretCase{name: "password as a flag with =", args: "$TARGET --passwort=" + flagPassword, status: exitUsage})
		with(secretCase{name: "password as a short flag", args: "$TARGET -p" + flagPassword, status: exitUsage, says: "no flag -p"})
		with(secretCase{name: "password instead of a variable", args: "$TARGET --password-env " + flagPassword, status: exitUsage, says: "not set"})
		with(secretCase{name: "password as an argument", args: "$TARGET " + flagPassword, status: exitUsage, says: "no arguments"})
		with(secretCase{name: "password in the endpoint's URL", args: "$TARGET --token-url https://user:" + urlPassword + "@127.0.0.1:1/", status: exitUsage})
		with(secretCase{name: "password in the authority", args: "$TARGET --authority https://user:" + urlPassword + "@idp.example --token-url=", status: exitUsage})
		with(secretCase{name: "password in an authority of no kind", args: "$TARGET --authority ldap://user:" + urlPassword + "@idp.example", status: exitUsage, says: "unknown"})
		with(secretCase{name: "password in a mistaken URL", args: "$TARGET --token-url https://user:" + urlPassword + "%zz@idp.example/", status: exitUsage})
		with(secretCase{name: "password in the cloud's URL", args: "--client-id app --cert private.pfx --tenant contoso.com --scope s",
			env: []string{envHost + "=https://user:" + urlPassword + "@login.example/"}, status: exitUsage, says: "none of Entra ID's clouds"})
		if command.offline {
			continue
		}
		with(secretCase{name: "another's certificate", args: "$TARGET --cert other.pfx", status: exitFailed, says: "AADSTS700027"})
		with(secretCase{name: "endpoint refuses", args: "$TARGET", fault: "refuses", status: exitFailed, says: "AADSTS700027"})
		with(secretCase{name: "endpoint echoes", args: "$TARGET", fault: "echoes", status: exitFailed, says: "you sent"})
		with(secretCase{name: "untrusted", args: "$TARGET --ca public.pem", status: exitFailed, says: "authority"})
		if !command.retries {
			continue
		}
		with(secretCase{name: "unreachable", args: "$TARGET --token-url https://127.0.0.1:1/", status: exitFailed, says: "refused"})
		proxied := "--client-id app --cert private.pfx --tenant contoso.com --scope s"
		with(secretCase{name: "unreachable proxy", args: proxied, env: []string{"HTTPS_PROXY=http://user:" + proxyPassword + "@127.0.0.1:1"}, status: exitFailed, says: "refused"})
		with(secretCase{name: "mistaken proxy", args: proxied, env: []string{"HTTPS_PROXY=user:" + proxyPassword + "#@127.0.0.1:1"}, status: exitFailed, says: "proxyconnect"})
		for _, fault := range slices.Sorted(maps.Keys(endpointFaults)) {
			with(secretCase{name: "endpoint " + fault, args: "$TARGET", fault: fault, status: exitFailed})
		}
	}
	return cases
}

// certCases are those of the commands that deal with files, and of the rest.
func certCases(granted string) []secretCase {
	header, rest, _ := strings.Cut(granted, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return []secretCase{
		{name: "new", args: "cert new --subject s --password-env OUT --out new1", made: "new1/private.pfx"},
		{name: "new, with the key in a PEM", args: "cert new --subject s --password-env OUT --out new2 --pem --json", made: "new2/private.pfx"},
		{name: "new, old form", args: "cert new --subject s --password-file out-password --out new3 --legacy", made: "new3/private.pfx"},
		{name: "new, exists", args: "cert new --subject s --password-env OUT --out .", status: exitFailed, says: "exist"},
		{name: "new, nowhere", args: "cert new --subject s --password-env OUT --out private.pfx/x", status: exitFailed},
		{name: "new, weak key", args: "cert new --subject s --password-env OUT --key-bits 1024 --out new4", status: exitUsage},
		{name: "new, password as a flag", args: "cert new --subject s --password=" + flagPassword, status: exitUsage, says: "no flag --password"},
		{name: "new, password as an argument", args: "cert new --subject s " + flagPassword, status: exitUsage},
		{name: "show", args: "cert show private.pfx"},
		{name: "show as JSON", args: "cert show private.pfx --json"},
		{name: "show a PEM with its key", args: "cert show pair.pem"},
		{name: "show, key apart", args: "cert show public.pem --key app.key --json"},
		{name: "show, wrong password", args: "cert show private.pfx", env: []string{envPassword + "=" + wrongPassword}, status: exitFailed, says: "wrong password"},
		{name: "show, another's key", args: "cert show public.pem --key other.key", status: exitFailed},
		{name: "show, broken key", args: "cert show broken.pem", status: exitFailed},
		{name: "show, cut", args: "cert show cut.pfx", status: exitFailed},
		{name: "show, key alone", args: "cert show app.key", status: exitFailed},
		{name: "show, absent", args: "cert show absent", status: exitFailed},
		{name: "show, two arguments", args: "cert show private.pfx " + flagPassword, status: exitUsage},
		{name: "convert to PEM", args: "cert convert private.pfx converted.pem"},
		{name: "convert to PFX", args: "cert convert pair.pem converted.pfx --out-password-env OUT", made: "converted.pfx"},
		{name: "convert to an old PFX", args: "cert convert private.pfx old.pfx --legacy --out-password-file out-password", made: "old.pfx"},
		{name: "convert, wrong password", args: "cert convert private.pfx no.pem", env: []string{envPassword + "=" + wrongPassword}, status: exitFailed},
		{name: "convert, exists", args: "cert convert private.pfx pair.pem", status: exitFailed, says: "exists"},
		{name: "convert, no form", args: "cert convert private.pfx out --out-password-env OUT", status: exitUsage},
		{name: "convert, password for a PEM", args: "cert convert private.pfx no.pem --out-password-env OUT", status: exitUsage},
		{name: "convert, password as a flag", args: "cert convert private.pfx no.pfx --out-password " + flagPassword, status: exitUsage},
		{name: "decode", args: "decode", stdin: granted},
		{name: "decode as JSON", args: "decode --json", stdin: "Authorization: Bearer " + granted},
		{name: "decode, two parts", args: "decode", stdin: header + "." + payload, status: exitFailed},
		{name: "decode, no JSON", args: "decode", stdin: payload[1:] + "." + rest, status: exitFailed},
		{name: "decode, encrypted", args: "decode", stdin: granted + "." + payload + "." + payload, status: exitFailed},
		{name: "decode, as an argument", args: "decode " + granted, status: exitUsage},
		{name: "decode, as a flag", args: "decode --" + payload, status: exitUsage},
		{name: "no such command", args: granted, status: exitUsage},
		{name: "no such command, a password", args: flagPassword, status: exitUsage},
		{name: "serve, a key alone", args: "serve --client app=app.key", status: exitFailed},
		{name: "serve, a cut PFX", args: "serve --client app=cut.pfx", status: exitFailed},
		{name: "serve, password in the issuer", args: "serve --client app=public.cer --issuer http://user:" + urlPassword + "@idp.example", status: exitUsage},
		{name: "version", args: "version"},
		{name: "reference", args: "reference"},
		{name: "completion", args: "completion bash"},
		{name: "help", args: "help token"},
		{name: "complete", args: "__complete token --cert private.pfx --alg "},
	}
}

// What each command prints, done or failed, holds no secret but the one that it
// was asked for.
func TestCommandsShowNoSecret(t *testing.T) {
	w := newSecretWorld(t)
	for i, c := range append(askCases(), certCases(w.grant(t))...) {
		if testing.Short() && i%8 != 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) { w.run(t, c) })
	}
	t.Run("every file that holds a key is found", func(t *testing.T) {
		if testing.Short() {
			t.Skip("requires the files that all commands make")
		}
		for _, name := range []string{"app.key", "pair.pem", "converted.pem", "new2/private.pem"} {
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

// secretWorld is an endpoint, a folder of files, and all that is secret in them.
type secretWorld struct {
	dir      string
	endpoint *certtokentest.Server
	issuer   *certtokentest.Server // for --mtls, which Entra ID's dialect has at an endpoint of its own
	secrets  secrets
}

func newSecretWorld(t *testing.T) *secretWorld {
	t.Helper()
	w := &secretWorld{dir: t.TempDir(), endpoint: certtokentest.NewServer(t), secrets: make(secrets),
		issuer: certtokentest.NewServer(t, certtokentest.WithIssuer(""))}
	for what, secret := range map[string]string{
		"the password": filePassword, "the wrong password": wrongPassword, "the new password": outPassword,
		"the URL's password": urlPassword, "the proxy's password": proxyPassword, "a password given by mistake": flagPassword,
	} {
		w.secrets.text(what, secret)
	}
	app := certtokentest.NewCertificate(t, certtokentest.WithSubject("app"))
	other := certtokentest.NewCertificate(t, certtokentest.WithSubject("other"), certtokentest.WithSharedKey())
	w.endpoint.Register("app", app.Leaf)
	w.issuer.Register("app", app.Leaf)
	w.secrets.key(app.Signer)
	w.secrets.key(other.Signer)

	w.write(t, "ca.pem", append(w.endpoint.CAPEM(), w.issuer.CAPEM()...))
	w.write(t, "public.cer", app.Leaf.Raw)
	w.write(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Leaf.Raw}))
	w.write(t, "password", []byte(filePassword+"\n"))
	w.write(t, "out-password", []byte(outPassword+"\n"))
	for name, cert := range map[string]*certtoken.Certificate{"private.pfx": app, "other.pfx": other} {
		data, err := selfsigned.EncodePFX(cert, filePassword, selfsigned.PFXModern)
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
	cmd.Env = append(os.Environ(), "TZ=UTC", "NO_PROXY=", "HTTPS_PROXY=", "HTTP_PROXY=", "https_proxy=", "http_proxy=",
		envPassword+"="+filePassword, "OUT="+outPassword)
	return cmd
}

// grant is a token that the endpoint has granted.
func (w *secretWorld) grant(t *testing.T) string {
	t.Helper()
	out, err := w.command(t.Context(), append([]string{"token"}, w.target()...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// target are the flags by which the endpoint grants a token.
func (w *secretWorld) target() []string {
	return []string{"--authority", "entra", "--token-url", w.endpoint.TokenURL(), "--client-id", "app", "--cert", "private.pfx",
		"--ca", "ca.pem", "--scope", "https://graph.microsoft.com/.default"}
}

func (w *secretWorld) run(t *testing.T, c secretCase) {
	endpoint, target, says := w.endpoint, w.target(), c.says
	if slices.Contains(strings.Fields(c.args), "--mtls") {
		endpoint, says = w.issuer, strings.Replace(says, "AADSTS700027", "invalid_client", 1)
		target = append(target, "--authority", endpoint.Issuer(), "--token-url", endpoint.TokenURL())
	}
	endpoint.ClearFaults()
	if c.fault != "" {
		endpoint.FailFunc(endpointFaults[c.fault])
	}
	var args []string
	for _, word := range strings.Fields(c.args) {
		if word == "$TARGET" {
			args = append(args, target...)
			continue
		}
		args = append(args, word)
	}
	var stdout, stderr bytes.Buffer
	cmd := w.command(t.Context(), args...)
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	w.learn(t, c, stdout.String())
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

// learn adds what became secret in a run: what was sent, granted, made.
func (w *secretWorld) learn(t *testing.T, c secretCase, stdout string) {
	t.Helper()
	for _, r := range append(w.endpoint.Requests(), w.issuer.Requests()...) {
		w.secrets.jwt(theAssertion, r.Assertion)
		w.secrets.jwt(theToken, r.AccessToken)
	}
	w.endpoint.Reset()
	w.issuer.Reset()
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
	cert, err := certtoken.ParseCertificate(data, certtoken.WithPassword(outPassword))
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
	if shows == "" && anyJWT.MatchString(stdout) || anyJWT.MatchString(stderr) {
		t.Error("something is printed that begins as a JWT does")
	}
}

// What "certtoken serve" prints and logs, whatever it was sent.
func TestServeShowsNoSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no interrupt to end the server with")
	}
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
	args := append([]string{"assertion"}, w.target()...)
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
	client, err := httpClient(testConsole(t), filepath.Join(w.dir, "serve.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
