package redisstore_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary is a replica, a process of its own, when replicaEnv is set.
const (
	replicaEnv = "REDISSTORE_TEST_REPLICA" // the address of Redis
	issuerEnv  = "REDISSTORE_TEST_ISSUER"
	tokenEnv   = "REDISSTORE_TEST_TOKEN_URL"
	certEnv    = "REDISSTORE_TEST_CERT"
	caEnv      = "REDISSTORE_TEST_CA"
	secretEnv  = "REDISSTORE_TEST_SECRET"
)

// replicaMain is the process: it says ready, waits for a line, gets a token and
// prints its digest.
func replicaMain() int {
	if err := runReplica(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		return 1
	}
	return 0
}

func runReplica(in io.Reader, out io.Writer) error {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(replicaEnv), ContextTimeoutEnabled: true})
	defer client.Close()
	store, err := redisstore.New(client)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(os.Getenv(caEnv))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("no CA")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = roots
	secret, err := hex.DecodeString(os.Getenv(secretEnv))
	if err != nil {
		return err
	}
	tokens, err := certtoken.NewClient(
		certtoken.Issuer(os.Getenv(issuerEnv), os.Getenv(tokenEnv)),
		clientID,
		certtoken.CertFile(os.Getenv(certEnv)),
		certtoken.WithHTTPClient(&http.Client{Transport: transport}),
		certtoken.WithStore(store, secret),
		certtoken.WithHooks(
			certtoken.Hooks{StoreFailed: func(e certtoken.Event) { fmt.Fprintln(os.Stderr, "replica:", e.Err) }},
		),
	)
	if err != nil {
		return err
	}
	defer tokens.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	token, err := tokens.Token(ctx, "api")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%.8x\n", sha256.Sum256([]byte(token.AccessToken())))
	return nil
}

// processes starts replicas as processes of their own.
type processes struct {
	t        *attempt
	endpoint *certtokentest.Server
	env      []string
}

// Write notes what the replicas write to standard error, which is that the store has failed,
// and passes it on.
func (p *processes) Write(line []byte) (int, error) {
	for _, over := range []error{context.DeadlineExceeded, os.ErrDeadlineExceeded} {
		if bytes.Contains(line, []byte(over.Error())) {
			p.t.noteLate()
		}
	}
	return os.Stderr.Write(line)
}

// lockWait is how long a client waits for a lock before it does without.
const lockWait = 10 * time.Second

// within notes when something took so long that somebody may have given up waiting.
func (p *processes) within(limit time.Duration, f func()) {
	started := time.Now()
	f()
	if time.Since(started) >= limit {
		p.t.noteLate()
	}
}

func newProcesses(t *attempt, redisAddr string) *processes {
	t.Helper()
	dir := t.TempDir()
	endpoint := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	cert := certtokentest.NewCertificate(t)
	endpoint.Register(clientID, cert.Leaf)
	pem, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	certFile, caFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(certFile, pem, 0o600))
	require.NoError(t, os.WriteFile(caFile, endpoint.CAPEM(), 0o600))
	return &processes{t: t, endpoint: endpoint, env: append(os.Environ(),
		replicaEnv+"="+redisAddr,
		issuerEnv+"="+endpoint.Issuer(),
		tokenEnv+"="+endpoint.TokenURL(),
		certEnv+"="+certFile,
		caEnv+"="+caFile,
		secretEnv+"="+hex.EncodeToString(secret),
	)}
}

// process is one replica.
type process struct {
	t   *attempt
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a replica and waits until it is ready.
func (p *processes) start() *process {
	p.t.Helper()
	program, err := os.Executable()
	require.NoError(p.t, err)
	cmd := exec.Command(program)
	cmd.Env, cmd.Stderr = p.env, p
	in, err := cmd.StdinPipe()
	require.NoError(p.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, cmd.Start())
	proc := &process{t: p.t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	p.t.Cleanup(proc.kill)
	require.Equal(p.t, "ready", proc.line())
	return proc
}

func (p *process) line() string {
	line, err := p.out.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimSpace(line)
}

// ask has the replica get its token.
func (p *process) ask() {
	_, err := io.WriteString(p.in, "\n")
	require.NoError(p.t, err)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func TestColdKeyOfManyProcesses(t *testing.T) {
	each(t, func(t *attempt, program string) {
		procs := newProcesses(t, redistest.Start(t, program).Addr)
		procs.endpoint.FailAlways(certtokentest.Fault{Delay: 300 * time.Millisecond}) // time to do it wrong
		var fleet []*process
		for range 20 {
			fleet = append(fleet, procs.start())
		}
		assert.Zero(t, procs.endpoint.Count())
		tokens := make(map[string]int)
		procs.within(lockWait, func() {
			for _, p := range fleet {
				p.ask()
			}
			for _, p := range fleet {
				tokens[p.line()]++
			}
		})
		assert.Len(t, tokens, 1, "all have the same token")
		assert.Equal(t, 1, procs.endpoint.Count())
	})
}

// A process that dies with the lock holds up the others for the time of a lock
// and no longer.
func TestProcessDiesWithTheLock(t *testing.T) {
	each(t, func(t *attempt, program string) {
		procs := newProcesses(t, redistest.Start(t, program).Addr)
		procs.endpoint.Fail(certtokentest.Fault{Delay: time.Hour})
		first, second, third := procs.start(), procs.start(), procs.start()
		procs.within(lockWait, func() { // before it asks once more
			first.ask()
			require.Eventually(t, func() bool { return procs.endpoint.Count() == 1 },
				5*time.Minute, 10*time.Millisecond)
			first.kill()
		})
		second.ask()
		token := second.line()
		procs.within(lockWait, func() {
			third.ask()
			assert.Equal(t, token, third.line())
		})
		assert.Equal(t, 2, procs.endpoint.Count())
	})
}
