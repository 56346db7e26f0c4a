package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

const (
	rotators  = 100 // clients that rotate at the same time: each waits for the provider's cache
	rotations = 1   // of each

	// removeAfter is longer than a token request takes that was signed by the key before.
	removeAfter = 15 * time.Second

	// providerCache is how long oidc-provider uses a set of keys at least, whatever its
	// Cache-Control says.
	providerCache = time.Minute
)

// rotator is a client of oidc-provider that rotates its certificate, whose set of keys the
// provider reads by its jwks_uri.
type rotator struct {
	t        *testing.T
	j        *judge
	id, dir  string
	set      *rotate.KeySet
	random   *rand.Rand
	stops    int
	losses   int // of calls or answers of the registrar
	calls    atomic.Int64
	failures atomic.Int64
	failure  atomic.Pointer[error]
}

// TestRotations has a hundred clients rotate their certificates, under load, at a server that
// reads their keys by jwks_uri. Rotations are stopped at random steps and go on in
// a new client, and answers of the registrar are lost: no call fails, at each moment the
// certificate in the file is in the set, and in the end nothing else is.
func TestRotations(t *testing.T) {
	if err := lacksNode(); err != nil {
		missing(t, err)
		t.Skip(err)
	}
	t.Parallel()
	j := oidcProvider(t, "plain")
	all := make([]*rotator, rotators)
	for i := range all {
		r := &rotator{
			t: t, j: j, id: fmt.Sprintf("rotator-%d", i), dir: t.TempDir(), random: rand.New(rand.NewPCG(1, uint64(i))),
		}
		r.set = rotate.JWKSOptions{Set: jwks.Options{MaxAge: providerCache}}.Registrar(filepath.Join(r.dir,
			"jwks.json"))
		cert, err := selfsigned.New(selfsigned.Options{Subject: r.id, Key: selfsigned.EC})
		require.NoError(t, err)
		data, err := selfsigned.EncodePEM(cert)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(r.file(), data, 0o600))
		require.NoError(t, r.set.Publish(cert))
		j.registerSet(t, keySet{id: r.id, url: j.publish(t, r.set)})
		all[i] = r
	}
	ctx, stop := context.WithCancel(t.Context())
	var load, work sync.WaitGroup
	for _, r := range all {
		load.Go(func() { r.load(ctx) })
		work.Go(r.run)
	}
	work.Wait()
	stop()
	load.Wait()
	stops, calls := 0, int64(0)
	for _, r := range all {
		stops += r.stops
		calls += r.calls.Load()
		if failure := r.failure.Load(); failure != nil {
			assert.NoError(t, *failure, "%s: %d of %d calls failed", r.id, r.failures.Load(), r.calls.Load())
		}
	}
	t.Logf("%d rotations, %d stops, %d calls", rotators*rotations, stops, calls)
	assert.Greater(t, stops, rotators)
	assert.Greater(t, calls, int64(rotators*rotations))
}

func (r *rotator) file() string { return filepath.Join(r.dir, "app.pem") }

// isTooBusy reports whether a file couldn't be read in the time that there is for that. On a
// machine where hundreds of goroutines wait for a processor that says nothing about files.
func isTooBusy(err error) bool {
	return err != nil && strings.Contains(err.Error(), "the file system doesn't answer within")
}

// patiently does something that reads files, as often as it takes.
func patiently[T any](f func() (T, error)) (value T, err error) {
	for range 100 {
		if value, err = f(); !isTooBusy(err) {
			break
		}
	}
	return value, err
}

func (r *rotator) client() *certtoken.Client {
	client, err := patiently(func() (*certtoken.Client, error) {
		return certtoken.NewClient(
			certtoken.Issuer(r.j.issuer, r.j.tokenURL), r.id, certtoken.CertFile(r.file()),
			certtoken.WithHTTPClient(r.j.http), patient)
	})
	if !assert.NoError(r.t, err) {
		runtime.Goexit()
	}
	return client
}

// load asks for new tokens all the time, as the programs that use the certificate do.
func (r *rotator) load(ctx context.Context) {
	client := r.client()
	defer client.Close()
	for r.calls.Load() < 2 || ctx.Err() == nil { // however soon the rotations end
		_, err := client.Acquire(r.t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		r.calls.Add(1)
		if err != nil && !isTooBusy(err) {
			r.failures.Add(1)
			r.failure.CompareAndSwap(nil, &err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// run makes the rotations, each of which is stopped now and then.
func (r *rotator) run() {
	last := r.current()
	for done, tries := 0, 0; done < rotations; tries++ {
		if !assert.Less(r.t, tries, 100*rotations, "%s ends no more", r.id) {
			return
		}
		if !r.rotate() {
			r.stops++
		}
		r.checkRegistered()
		now := r.current()
		status, err := patiently(func() (rotate.Status, error) { return rotate.ReadStatus(r.file()) })
		if err != nil || bytes.Equal(now.Raw, last.Raw) || status.Step != rotate.StepWait || len(status.Retired) > 0 {
			continue
		}
		last = now
		done++
		ids, err := r.find(now)
		assert.NoError(r.t, err)
		assert.Equal(r.t, []string{status.Current.ID}, ids)
		assert.Empty(r.t, status.Orphans)
		data, err := os.ReadFile(filepath.Join(r.dir, "jwks.json"))
		assert.NoError(r.t, err)
		assert.Equal(r.t, 1, bytes.Count(data, []byte(`"kid"`)), "one key is left")
	}
}

// rotate makes a rotation, or goes on with one, in a new client. ended is false if it was
// stopped.
func (r *rotator) rotate() (ended bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		client := r.client()
		defer client.Close()
		ctx, stop := context.WithCancelCause(context.Background())
		defer stop(nil)
		stopAt := r.random.IntN(8) // more than there are steps, so that some rotations aren't stopped
		hook := func(rotate.Event) {
			if stopAt--; stopAt == 0 {
				stop(errStopped)
			}
		}
		rotation, err := rotate.Options{
			Settle: -1, RemoveAfter: removeAfter, Probe: certtoken.Request{Scopes: []string{scope}},
			Hooks: rotate.Hooks{Done: hook, Failed: hook},
		}.New(client, losing{r.set, r.random, &r.losses}, r.dir)
		if !assert.NoError(r.t, err) {
			return
		}
		status, err := rotation.Status(ctx)
		if err == nil && status.Step == rotate.StepWait && len(status.Retired) == 0 {
			status, err = rotation.Begin(ctx)
		}
		for err == nil && (status.Step != rotate.StepWait || len(status.Retired) > 0) {
			time.Sleep(max(0, min(time.Until(status.Due), 10*time.Second)))
			status, err = rotation.Advance(ctx)
		}
		ended = err == nil
		if !errors.Is(err, errLost) && !errors.Is(err, errStopped) && !isTooBusy(err) {
			assert.NoError(r.t, err, r.id)
		}
	}()
	<-done
	return ended
}

func (r *rotator) current() *x509.Certificate {
	cert, err := patiently(func() (*certtoken.Certificate, error) {
		return certtoken.CertFile(r.file()).Certificate(context.Background())
	})
	if !assert.NoError(r.t, err) {
		runtime.Goexit()
	}
	return cert.Leaf
}

// find returns the ids of a certificate in the set.
func (r *rotator) find(leaf *x509.Certificate) ([]string, error) {
	return patiently(func() ([]string, error) {
		return r.set.Find(context.Background(), publicCertificate(leaf), rotate.Identity{})
	})
}

// checkRegistered checks that a program which starts now would be granted a token.
func (r *rotator) checkRegistered() {
	ids, err := r.find(r.current())
	assert.NoError(r.t, err)
	assert.Len(r.t, ids, 1, "%s: what is in the file isn't registered", r.id)
}

var (
	errLost    = errors.New("the answer is lost")
	errStopped = errors.New("the process ends")
)

// losing loses a call on its way, or the answer to one. It does so once, because each costs
// the pause of a minute after which a step is tried again.
type losing struct {
	*rotate.KeySet
	random *rand.Rand
	losses *int
}

func (l losing) loses() bool {
	if *l.losses > 0 || l.random.IntN(4) != 0 {
		return false
	}
	*l.losses++
	return true
}

func (l losing) Add(ctx context.Context, key *certtoken.Certificate, as rotate.Identity) (string, error) {
	if l.loses() {
		return "", errLost
	}
	id, err := l.KeySet.Add(ctx, key, as)
	if l.loses() {
		return "", errLost
	}
	return id, err
}

func (l losing) Remove(ctx context.Context, key rotate.Key, as rotate.Identity) error {
	if l.loses() {
		return errLost
	}
	err := l.KeySet.Remove(ctx, key, as)
	if l.loses() {
		return errLost
	}
	return err
}

// publicHalf is a signer of which only the public key is wanted.
type publicHalf struct{ key crypto.PublicKey }

func (p publicHalf) Public() crypto.PublicKey { return p.key }

func (publicHalf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func publicCertificate(leaf *x509.Certificate) *certtoken.Certificate {
	return &certtoken.Certificate{Leaf: leaf, Signer: publicHalf{leaf.PublicKey}}
}
