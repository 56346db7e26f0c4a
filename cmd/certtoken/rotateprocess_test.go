package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

const rotatedScope = "https://graph.microsoft.com/.default"

// rotatedWorld is a certificate file, and a server where it is registered.
type rotatedWorld struct {
	server  *certtokentest.Server
	program string
	file    string
	args    []string
}

func newRotatedWorld(t *testing.T) *rotatedWorld {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("processes are killed by signals")
	}
	if testing.Short() {
		t.Skip("it starts the command a dozen times; the long tests do that")
	}
	w := &rotatedWorld{
		server: certtokentest.NewServer(t, certtokentest.WithGraph(certtokentest.GraphRules{
			Propagation: time.Second, Permitted: []string{"app"},
		})),
		program: filepath.Join(buildCommand(t), "certtoken"),
		file:    filepath.Join(t.TempDir(), "app.pem"),
	}
	cert, err := selfsigned.New(selfsigned.Options{Subject: "app"})
	if err != nil {
		t.Fatal(err)
	}
	w.server.Register("app", cert.Leaf)
	data, err := selfsigned.EncodePEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(filepath.Dir(w.file), "ca.pem")
	for name, content := range map[string][]byte{w.file: data, ca: w.server.CAPEM()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.args = []string{
		"rotate", "--authority", "entra", "--token-url", w.server.TokenURL(), "--client-id", "app", "--cert", w.file,
		"--ca", ca, "--graph", certtokentest.ApplicationID("app"), "--graph-url", w.server.URL() + "/v1.0",
		"--settle", "0", "--remove-after", "0", "--wait", patience.String(), "--quiet",
	}
	return w
}

// start starts a run. What it writes is in out when it has ended.
func (w *rotatedWorld) start(t *testing.T, more ...string) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	out = new(bytes.Buffer)
	cmd = exec.CommandContext(t.Context(), w.program, append(w.args[:len(w.args):len(w.args)], more...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, cleanEnviron()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// callers get tokens all the time, as programs do that follow the file, until the test
// ends. None of their calls may fail.
func (w *rotatedWorld) callers(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		client, err := certtoken.NewClient(w.server.Authority(), "app", certtoken.CertFile(w.file),
			certtoken.WithHTTPClient(w.server.Client()), certtoken.WithRequestTimeouts(time.Minute, patience))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer client.Close()
			for {
				request := certtoken.Request{Scopes: []string{rotatedScope}, Fresh: true}
				if _, err := client.Acquire(t.Context(), request); err != nil {
					t.Errorf("a call failed: %v", err)
				}
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// certificates are those that are registered, by their serial numbers.
func (w *rotatedWorld) certificates() (list []string) {
	for _, key := range w.server.KeyCredentials(certtokentest.ApplicationID("app")) {
		list = append(list, key.Certificate.SerialNumber.String())
	}
	return list
}

// wait waits until the state has come to one of the steps, or the run has ended.
func (w *rotatedWorld) wait(ended <-chan error, steps ...rotate.Step) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
		data, err := os.ReadFile(w.file + ".rotation.json")
		var state struct{ Step rotate.Step }
		if err == nil && json.Unmarshal(data, &state) == nil && slices.Contains(steps, state.Step) {
			return
		}
	}
}

// A run that is killed when it has come to a step, whichever, is made good by the next one.
// Meanwhile no call fails, and in the end one certificate is registered: that in the file.
func TestRotationOfAKilledProcess(t *testing.T) {
	t.Parallel()
	w := newRotatedWorld(t)
	stop := w.callers(t)
	before := w.certificates()
	for i, step := range []rotate.Step{
		rotate.StepMake, rotate.StepRegister, rotate.StepConfirm, rotate.StepSwitch, rotate.StepUse,
	} {
		more := []string(nil)
		if i == 0 {
			more = []string{"--now"}
		}
		cmd, _ := w.start(t, more...)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		w.wait(ended, step)
		if len(w.certificates()) == 0 {
			t.Errorf("%s: nothing is registered", step)
		}
		if cmd.Process.Kill() == nil { // it may have ended
			<-ended
		}
	}
	cmd, out := w.start(t)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stop()
	status, err := rotate.ReadStatus(w.file)
	if err != nil {
		t.Fatal(err)
	}
	if status.Step != rotate.StepWait || len(status.Retired) > 0 || len(status.Orphans) > 0 {
		t.Errorf("%+v", status)
	}
	after := w.certificates()
	if len(after) != 1 || after[0] == before[0] {
		t.Errorf("registered are %q, and before %q", after, before)
	}
}

// Several runs at once make one rotation: those that come while it is under way help it on.
func TestRotationByOneOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	w := newRotatedWorld(t)
	stop := w.callers(t)
	var wg sync.WaitGroup
	outs := make([]*bytes.Buffer, 3)
	errs := make([]error, len(outs))
	for i := range outs {
		more := []string{"--remove-after", "7d"}
		if i == 0 {
			more = append(more, "--now")
		}
		cmd, out := w.start(t, more...)
		outs[i] = out
		ended := make(chan error, 1)
		wg.Go(func() {
			errs[i] = cmd.Wait()
			ended <- errs[i]
		})
		if i == 0 {
			w.wait(ended, rotate.StepRegister, rotate.StepConfirm)
		}
	}
	wg.Wait()
	stop()
	for i, err := range errs {
		if err != nil || !strings.Contains(outs[i].String(), "Next") {
			t.Errorf("%v\n%s", err, outs[i])
		}
	}
	if got := w.certificates(); len(got) != 2 {
		t.Errorf("%d certificates are registered, want the old one and a new one", len(got))
	}
}

// A key alone rotates in a JWK Set that the server fetches by its URL.
func TestRotationInAJWKSet(t *testing.T) {
	t.Parallel()
	w := newRotatedWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file, set := filepath.Join(folder, "app.key"), filepath.Join(folder, "jwks.json")
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer web.Close()
	issuer := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	if err := issuer.RegisterJWKSURI("app", web.URL+"/jwks.json", nil); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(ca, issuer.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w.args = []string{
		"rotate", "--authority", issuer.Issuer(), "--token-url", issuer.TokenURL(), "--client-id", "app", "--cert",
		file, "--ca", ca, "--jwks", set, "--jwks-max-age", "2s", "--settle", "0", "--remove-after", "0",
		"--wait", patience.String(),
	}
	kids := func() (list []string) {
		var read struct{ Keys []struct{ Kid string } }
		text, err := os.ReadFile(set)
		if err != nil || json.Unmarshal(text, &read) != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, key := range read.Keys {
			list = append(list, key.Kid)
		}
		return list
	}
	cmd, out := w.start(t) // it publishes the key, and nothing is due
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before := kids()
	cmd, out = w.start(t, "--now")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after := kids()
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("the keys were %q and are %q\n%s", before, after, out)
	}
	client, err := certtoken.NewClient(issuer.Authority(), "app", certtoken.KeyFile(file),
		certtoken.WithHTTPClient(issuer.Client()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Check(t.Context()); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
