package rotate_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

const (
	clientID = "my-app"
	scope    = "https://graph.microsoft.com/.default"
	day      = 24 * time.Hour
)

// keys are made once: an RSA key takes long. Their certificates differ all the same.
var keys = sync.OnceValue(func() []crypto.Signer {
	made := make([]crypto.Signer, 4)
	for i := range made {
		key, err := selfsigned.GenerateKey(selfsigned.Options{})
		if err != nil {
			panic(err)
		}
		made[i] = key
	}
	return made
})

var turn atomic.Int64

// pooledKey is one of the RSA keys that were made, or a new one of another kind.
func pooledKey(o selfsigned.Options) (crypto.Signer, error) {
	if o.Key != selfsigned.RSA {
		return selfsigned.GenerateKey(o)
	}
	return keys()[int(turn.Add(1))%len(keys())], nil
}

// world is a server, a folder with a certificate file, and a rotation of it.
type world struct {
	*testing.T
	server    *certtokentest.Server
	dir, file string
	keyFile   string // a second file, with the key
	certOpts  []certtoken.CertOption
	known     sync.Map // *certtoken.Certificate, what was read of which content
	options   rotate.Options
	registrar rotate.Registrar
	client    *certtoken.Client
	rotation  *rotate.Rotation
	authority certtoken.Authority
	events    []rotate.Event
}

// bubble runs a test with time that passes when nothing else happens.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	keys()
	synctest.Test(t, f)
}

// newWorld is a world in which an application of Entra ID rolls its keys by Microsoft Graph.
func newWorld(t *testing.T, rules certtokentest.GraphRules, change ...func(*world)) *world {
	t.Helper()
	w := &world{
		T: t, dir: t.TempDir(),
		// Nobody here looks into a token, and to sign one takes longer than all else that the server does.
		server:  certtokentest.New(certtokentest.WithGraph(rules), certtokentest.WithOpaqueTokens()),
		options: rotate.Options{Probe: certtoken.Request{Scopes: []string{scope}}}.WithKeys(pooledKey),
	}
	w.file = filepath.Join(w.dir, "app.pem")
	w.authority = w.server.Authority()
	w.registrar = rotate.GraphOptions{HTTPClient: w.server.Client()}.Registrar(
		certtokentest.ApplicationID(clientID))
	cert := w.newCert()
	w.write(cert)
	w.server.Register(clientID, cert.Leaf)
	for _, f := range change {
		f(w)
	}
	w.restart()
	t.Cleanup(func() { w.client.Close() })
	return w
}

// newCert is a certificate for 90 days.
func (w *world) newCert() *certtoken.Certificate {
	w.Helper()
	key, err := pooledKey(selfsigned.Options{})
	require.NoError(w, err)
	cert, err := selfsigned.For(context.Background(), key, selfsigned.Options{Subject: "my app", Validity: 90 * day})
	require.NoError(w, err)
	return cert
}

func (w *world) write(cert *certtoken.Certificate) {
	w.Helper()
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(w, err)
	require.NoError(w, os.WriteFile(w.file, data, 0o600))
}

func (w *world) newClient() *certtoken.Client {
	w.Helper()
	client, err := certtoken.NewClient(w.authority, clientID, certtoken.CertFile(w.file, w.certOpts...),
		certtoken.WithHTTPClient(w.server.Client()))
	require.NoError(w, err)
	return client
}

// restart starts the program anew: nothing but the files is left of it.
func (w *world) restart() {
	w.Helper()
	if w.client != nil {
		require.NoError(w, w.client.Close())
	}
	w.client = w.newClient()
	options := w.options
	if options.Hooks.Done == nil {
		note := func(e rotate.Event) { w.events = append(w.events, e) }
		options.Hooks = rotate.Hooks{Done: note, Failed: note, Orphan: note}
	}
	r, err := options.New(w.client, w.registrar, w.dir)
	require.NoError(w, err)
	w.rotation = r
}

// current is what is in the file.
func (w *world) current() *certtoken.Certificate {
	w.Helper()
	cert, err := w.read()
	require.NoError(w, err)
	return cert
}

// read reads the files as a program that starts now does. It is asked at every point of a
// rotation, and to check a key takes long: files that were read are known by their content.
func (w *world) read() (*certtoken.Certificate, error) {
	w.Helper()
	content, err := w.content()
	if cert, ok := w.known.Load(content); ok && err == nil {
		return cert.(*certtoken.Certificate), nil
	}
	cert, err := certtoken.CertFile(w.file, w.certOpts...).Certificate(context.Background())
	if after, again := w.content(); err == nil && again == nil && after == content {
		w.known.Store(content, cert)
	}
	return cert, err
}

// content is that of the certificate file and the key file.
func (w *world) content() (content [2]string, err error) {
	for i, name := range []string{w.file, w.keyFile} {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return content, err
		}
		content[i] = string(data)
	}
	return content, nil
}

func (w *world) advance() rotate.Status {
	w.Helper()
	status, err := w.rotation.Advance(context.Background())
	require.NoError(w, err)
	return status
}

// registered are the certificates that the server knows.
func (w *world) registered() []certtokentest.KeyCredential {
	return w.server.KeyCredentials(certtokentest.ApplicationID(clientID))
}

// next makes steps as a timer would until a rotation has come back to waiting, and returns
// its status.
func (w *world) rotate() rotate.Status {
	w.Helper()
	status, err := w.rotation.Begin(context.Background())
	for range 1000 {
		if err == nil && status.Step == rotate.StepWait {
			return status
		}
		if err == nil && status.Step == rotate.StepRemove && status.New == nil {
			return status
		}
		time.Sleep(max(time.Until(status.Due), time.Second))
		status, err = w.rotation.Advance(context.Background())
	}
	w.Fatalf("the rotation doesn't end: %+v, %v", status, err)
	return status
}

// steps are those of the events so far.
func (w *world) steps() (done []rotate.Step) {
	for _, e := range w.events {
		if e.Err == nil && e.Advice == "" {
			done = append(done, e.Step)
		}
	}
	return done
}

// stopped is what a rotation panics with where a test stops it.
type stopped struct{ point string }

// until runs f until it is stopped, and reports whether it was.
func until(f func()) (was bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(stopped); !ok {
				panic(p)
			}
			was = true
		}
	}()
	f()
	return false
}

// load is callers who want tokens all the time, each by a client of its own that follows the
// file, as programs on this machine do.
type load struct {
	w        *world
	clients  []*certtoken.Client
	calls    atomic.Int64
	failures atomic.Int64
	mu       sync.Mutex
	first    error
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// startLoad starts n callers. Each asks for a new token every pause.
func (w *world) startLoad(n int, pause time.Duration) *load {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{w: w, stop: cancel}
	for range n {
		client := w.newClient()
		l.clients = append(l.clients, client)
		l.call(client, ctx)
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.call(client, ctx)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	return l
}

func (l *load) call(client *certtoken.Client, ctx context.Context) {
	_, err := client.Acquire(ctx, certtoken.Request{Scopes: []string{scope}, Fresh: true})
	if ctx.Err() != nil {
		return
	}
	l.calls.Add(1)
	if err != nil {
		l.failures.Add(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.first == nil {
			l.first = err
		}
	}
}

// end stops the callers, and fails the test if a call failed.
func (l *load) end() {
	l.stop()
	l.done.Wait()
	for _, c := range l.clients {
		assert.NoError(l.w, c.Close())
	}
	assert.NoError(l.w, l.first)
	assert.Zero(l.w, l.failures.Load(), "of %d calls", l.calls.Load())
	assert.Positive(l.w, l.calls.Load())
}

// named are the thumbprints that a status names.
func named(s rotate.Status) map[string]bool {
	names := map[string]bool{s.Current.Thumbprint: true}
	if s.New != nil {
		names[s.New.Thumbprint] = true
	}
	for _, k := range append(s.Retired, s.Orphans...) {
		names[k.Thumbprint] = true
	}
	return names
}

var (
	errInjected    = errors.New("injected")
	errUnsupported = fmt.Errorf("no permission: %w", errors.ErrUnsupported)
)

// leftovers are the files beside the certificate that have no place there between rotations.
func (w *world) leftovers() (names []string) {
	w.Helper()
	entries, err := os.ReadDir(w.dir)
	require.NoError(w, err)
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".next") || strings.HasSuffix(name, ".both") {
			names = append(names, name)
		}
	}
	return names
}

func thumbprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// newRandom is a source of numbers that are the same in every run.
func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// lostOnce loses the answer to the next request of a kind, which is carried out.
func lostOnce(path string) func(*http.Request) *certtokentest.Fault {
	var lost atomic.Bool
	return func(r *http.Request) *certtokentest.Fault {
		if strings.HasSuffix(r.URL.Path, path) && lost.CompareAndSwap(false, true) {
			return &certtokentest.Fault{Shape: certtokentest.LostAnswer}
		}
		return nil
	}
}
