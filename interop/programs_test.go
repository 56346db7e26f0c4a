package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	programStart  = 20 * time.Minute // to its first answer: a JVM takes long on a busy machine
	programAnswer = 10 * time.Minute // to one question
	programStop   = time.Minute      // then it is killed
)

// program is a server of the folder server under way. It is asked through its standard
// input and answers on its standard output.
type program struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr bytes.Buffer

	mu      sync.Mutex // one question at a time
	started bool       // it has answered once
}

// launch starts a program.
func launch(name string, command ...string) (*program, error) {
	p := &program{name: name, cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.Dir, p.cmd.Stderr = "server", &p.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// startProgram starts a program that ends with the test.
func startProgram(t *testing.T, name string, command ...string) *program {
	t.Helper()
	p, err := launch(name, command...)
	require.NoError(t, err)
	t.Cleanup(func() {
		said := p.stop()
		if t.Failed() {
			t.Logf("%s wrote to stderr:\n%s", name, said)
		}
	})
	return p
}

// stop ends the program and returns what it wrote to stderr.
func (p *program) stop() string {
	_ = p.in.Close() // the program's signal to end
	defer time.AfterFunc(programStop, p.kill).Stop()
	_ = p.cmd.Wait()
	return strings.TrimSpace(p.stderr.String())
}

func (p *program) kill() { _ = p.cmd.Process.Kill() }

// tell sends one line and reads one.
func (p *program) tell(question, answer any) error {
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := programAnswer
	if !p.started {
		limit = programStart
	}
	defer time.AfterFunc(limit, p.kill).Stop()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s has ended: %w", p.name, err)
	}
	if !p.out.Scan() {
		return fmt.Errorf("%s has ended, or didn't answer in %v: %w", p.name, limit,
			errors.Join(p.out.Err(), io.ErrUnexpectedEOF))
	}
	p.started = true
	return json.Unmarshal(p.out.Bytes(), answer)
}

func (p *program) ask(t *testing.T, question, answer any) {
	t.Helper()
	require.NoError(t, p.tell(question, answer))
}

// sharedProgram is a server whose start takes long. The first test that needs it starts it,
// all tests share it, and TestMain ends it.
type sharedProgram struct {
	name    string
	command func() ([]string, error) // of the folder server; fetches what this machine lacks

	once     sync.Once
	err      error
	lackErr  error // the machine lacks something
	program  *program
	tls      tlsCertificate
	issuer   string
	tokenURL string
}

// clientCA issues certificates that shared servers trust in TLS, and loneClient is one
// that they trust without an issuer.
var (
	clientCA = sync.OnceValues(func() (*certtoken.Certificate, error) {
		return certtokentest.MakeCertificate(certtokentest.AsCA(), certtokentest.WithSubject("interop CA"))
	})
	loneClient = sync.OnceValues(func() (*certtoken.Certificate, error) {
		return certtokentest.MakeCertificate(certtokentest.WithSubject("alone"))
	})
)

// trustedClients are the certificates that a shared server trusts in TLS, as PEM.
func trustedClients() (string, error) {
	ca, err := clientCA()
	if err != nil {
		return "", err
	}
	alone, err := loneClient()
	if err != nil {
		return "", err
	}
	return pemOf(ca) + pemOf(alone), nil
}

// start starts the server, unless it runs already.
func (s *sharedProgram) start() error {
	s.once.Do(func() { s.err = s.run() })
	return s.err
}

func (s *sharedProgram) run() error {
	command, err := s.command()
	if err != nil {
		s.lackErr = fmt.Errorf("%s: %w", s.name, err)
		return s.lackErr
	}
	if s.tls, err = makeTLSCertificate(); err != nil {
		return err
	}
	trusted, err := trustedClients()
	if err != nil {
		return err
	}
	p, err := launch(s.name, command...)
	if err != nil {
		return err
	}
	s.program = p
	var ready struct {
		Issuer   string `json:"issuer"`
		TokenURL string `json:"tokenURL"`
	}
	err = p.tell(map[string]string{
		"key": s.tls.keyPEM, "cert": s.tls.certPEM, "ca": trusted,
	}, &ready)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.stop())
	}
	s.issuer, s.tokenURL = ready.Issuer, ready.TokenURL
	return nil
}

// lacks returns what this machine lacks for the server. It starts the server.
func (s *sharedProgram) lacks() error {
	_ = s.start()
	return s.lackErr
}

func (s *sharedProgram) String() string { return s.name }

func (s *sharedProgram) stop() (said string) {
	if s.program == nil {
		return ""
	}
	return s.program.stop()
}

// register tells the server about a client. The error is a [*notRegistered].
func (s *sharedProgram) register(t *testing.T, client map[string]any) error {
	t.Helper()
	var done struct{ Registered, Error string }
	s.program.ask(t, client, &done)
	if done.Error != "" {
		return &notRegistered{done.Error}
	}
	require.Equal(t, client["id"], done.Registered)
	return nil
}

// notRegistered is a server's reason not to know a client.
type notRegistered struct{ says string }

func (e *notRegistered) Error() string { return "not registered: " + e.says }

// judge is the server with what all such servers have.
func (s *sharedProgram) judge(t *testing.T, name string) *judge {
	t.Helper()
	require.NoError(t, s.start())
	return &judge{name: name, issuer: s.issuer, tokenURL: s.tokenURL, http: s.tls.client(t)}
}
