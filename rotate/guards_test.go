package rotate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
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

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

// A process whose lock ran out changes nothing more: another one has gone on.
func TestALockThatRanOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t, func(w *world, _ *book) { w.options.Lock = certtoken.NewMemoryStore().(certtoken.Locker) })
		w.advance()
		slow := w.options
		slow.Issue = func(_ context.Context, key crypto.Signer, old *x509.Certificate) (*certtoken.Certificate, error) {
			time.Sleep(5 * time.Minute) // whatever the context says
			return selfsigned.For(context.Background(), key, selfsigned.Options{Subject: "slow"})
		}
		r, err := slow.New(w.client, w.registrar, w.dir)
		require.NoError(t, err)
		first := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := r.Begin(context.Background())
			first <- err
		}()
		time.Sleep(3 * time.Minute)
		require.Error(t, <-first)
		assert.LessOrEqual(t, time.Since(began), 3*time.Minute)
		status := w.advance()
		require.NotNil(t, status.New)
		time.Sleep(5 * time.Minute)
		next, err := os.ReadFile(w.file + ".next")
		require.NoError(t, err)
		block, _ := pem.Decode(next[bytes.Index(next, []byte("-----BEGIN CERTIFICATE")):])
		assert.Equal(t, status.New.Thumbprint, thumbprintOf(block.Bytes))
		assert.Len(t, a.keys, 2)
	})
}

// A run that finds the state changed by another one writes neither the state nor a file.
func TestAStateThatWasChangedMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t)
		w.advance()
		other := []byte(`{"version": 2, "step": "wait"}`)
		w.options.Issue = func(
			_ context.Context, key crypto.Signer, _ *x509.Certificate,
		) (*certtoken.Certificate, error) {
			require.NoError(t, os.WriteFile(w.file+".rotation.json", other, 0o600))
			return selfsigned.For(context.Background(), key, selfsigned.Options{Subject: "new"})
		}
		w.restart()
		_, err := w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "another process")
		data, err := os.ReadFile(w.file + ".rotation.json")
		require.NoError(t, err)
		assert.Equal(t, other, data)
		assert.Empty(t, w.leftovers())
		assert.Len(t, a.keys, 1)
	})
}

// A file of the name that new pairs have, and that no rotation made, stays.
func TestANewFileOfSomebodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := newBooked(t)
		next := w.file + ".next"
		require.NoError(t, os.WriteFile(next, []byte("precious"), 0o600))
		w.advance()
		_, err := w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "hasn't made it")
		require.ErrorContains(t, err, "move it away")
		data, err := os.ReadFile(next)
		require.NoError(t, err)
		assert.Equal(t, "precious", string(data))
		require.NoError(t, os.Remove(next))
		w.rotate()
		assert.Empty(t, w.leftovers())
	})
}

// The end of the caller's context is no failure of a step.
func TestTheEndOfTheProgramIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w, _ := newBooked(t)
		w.stopAt("turn confirm")
		w.options = w.options.WithFault(func(point string) error {
			if point == "turn confirm" {
				cancel()
			}
			return nil
		})
		w.restart()
		w.events = nil
		status, err := w.rotation.Advance(ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.Nil(t, status.Failing)
		recorded, err := rotate.ReadStatus(w.file)
		require.NoError(t, err)
		assert.Nil(t, recorded.Failing)
		assert.Empty(t, w.events)
		_, err = w.rotation.Begin(ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, w.events)
	})
}

// A removal that fails isn't tried again at each look.
func TestARemovalThatFailsIsGivenTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tries := 0
		w := newWorld(t, certtokentest.GraphRules{Propagation: time.Hour, Permitted: []string{clientID}},
			func(w *world) {
				w.options.RemoveAfter = time.Hour
				w.options = w.options.WithFault(func(point string) error {
					if point == "before remove" {
						tries++
						return errInjected
					}
					return nil
				})
			})
		w.rotate()
		time.Sleep(2 * time.Hour)
		_, err := w.rotation.Begin(t.Context())
		for range 20 { // confirm looks every ten seconds
			time.Sleep(10 * time.Second)
			if _, failed := w.rotation.Advance(t.Context()); err == nil {
				err = failed
			}
		}
		require.ErrorIs(t, err, errInjected)
		assert.LessOrEqual(t, tries, 3)
		assert.Positive(t, tries)
		status, err := rotate.ReadStatus(w.file)
		require.NoError(t, err)
		require.NotNil(t, status.Failing)
		assert.Equal(t, rotate.StepRemove, status.Failing.Step)
		assert.True(t, status.NeedsAttention())
	})
}

// A state that somebody has made up doesn't stop the program.
func TestAMadeUpState(t *testing.T) {
	for name, content := range map[string]string{
		"failures": `{"version": 2, "step": "wait", "failing": {"step": "wait", "count": -5}}`,
		"removals": `{"version": 2, "step": "wait", "removing": {"step": "remove", "count": -5}}`,
		"orphans":  `{"version": 2, "step": "wait", "orphans": [{}` + strings.Repeat(",{}", 64) + `]}`,
		"retired":  `{"version": 2, "step": "wait", "retired": [{}` + strings.Repeat(",{}", 16) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _ := newBooked(t)
				require.NoError(t, os.WriteFile(w.file+".rotation.json", []byte(content), 0o600))
				_, err := w.rotation.Begin(t.Context())
				require.ErrorIs(t, err, rotate.ErrState)
			})
		})
	}
}

// What panics in a part of the user's is an error, or is logged, without what it says.
func TestPartsThatPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		w, a := newBooked(t, func(w *world, _ *book) {
			w.options.Log = slog.New(slog.NewTextHandler(&log, nil))
			fail := func(rotate.Event) { panic("a secret") }
			w.options.Hooks = rotate.Hooks{Done: fail, Failed: fail, Orphan: fail}
		})
		a.refuse = rotate.ErrRefused
		_, err := w.rotation.Begin(t.Context())
		require.ErrorIs(t, err, rotate.ErrRefused)
		a.refuse = nil
		w.rotate()
		assert.Contains(t, log.String(), "a hook panicked")

		w.registrar = lateBook{a}
		w.restart()
		_, err = w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "panicked")
		assert.NotContains(t, err.Error(), "a secret")

		_, err = rotate.New(w.client, nameless{a}, w.dir)
		require.ErrorContains(t, err, "String panicked")
		assert.NotContains(t, err.Error(), "a secret")

		w.options.Lock = badLock{panics: true}
		w.registrar = a
		w.restart()
		_, err = w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "Options.Lock panicked")
		assert.NotContains(t, err.Error()+log.String(), "a secret")
	})
}

type lateBook struct{ *book }

func (lateBook) Delay() time.Duration { panic("a secret") }

type nameless struct{ *book }

func (nameless) String() string { panic("a secret") }

// badLock is a Locker that tells a secret.
type badLock struct {
	certtoken.Store
	panics bool
}

func (b badLock) TryLock(context.Context, string, time.Duration) (func(context.Context) error, error) {
	if b.panics {
		panic("a secret")
	}
	return nil, errors.New("dial redis://user:hunter2secret@host: refused")
}

// A locker's error is told without the secret in it, wherever it is told.
func TestALockThatTellsASecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		w, _ := newBooked(t, func(w *world, _ *book) {
			w.options.Lock = badLock{}
			w.options.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		_, err := w.rotation.Advance(t.Context())
		require.ErrorContains(t, err, "redis://")
		forget := w.rotation.Forget(t.Context(), "00")
		require.ErrorContains(t, forget, "redis://")
		told := err.Error() + forget.Error() + log.String()
		for _, e := range w.events {
			told += e.Err.Error()
		}
		assert.NotContains(t, told, "hunter2secret")
	})
}

// A source of held keys is told of certificates that aren't its own, and of keys alone.
func TestAHeldKeyIsToldOfOthers(t *testing.T) {
	held := &store{keys: map[string]crypto.Signer{}}
	key, err := held.NewKey(t.Context(), "first")
	require.NoError(t, err)
	cert, err := selfsigned.For(t.Context(), key, selfsigned.Options{Subject: "held"})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "app.cer")
	require.NoError(t, os.WriteFile(path, cert.Leaf.Raw, 0o600))
	source := rotate.HeldKey(path, held)
	_, err = source.Certificate(t.Context())
	require.NoError(t, err)
	bare, err := certtoken.NewKey(key, "")
	require.NoError(t, err)
	assert.NotPanics(t, func() {
		source.Granted(bare)
		assert.NoError(t, source.Reload(t.Context(), bare))
		source.Granted(nil)
	})
	assert.NoError(t, source.Health())
}

// hangingStore hangs, and ignores its context, while hang isn't nil.
type hangingStore struct {
	*store
	hang atomic.Pointer[chan struct{}]
}

func (s *hangingStore) Signer(ctx context.Context, leaf *x509.Certificate) (crypto.Signer, error) {
	if hang := s.hang.Load(); hang != nil {
		<-*hang
	}
	return s.store.Signer(ctx, leaf)
}

// A store that hangs for a new certificate keeps the last good pair from nobody, and is asked once.
func TestAHeldKeyWhoseStoreHangs(t *testing.T) {
	held := &hangingStore{store: &store{keys: map[string]crypto.Signer{}}}
	path := filepath.Join(t.TempDir(), "app.cer")
	put := func(name string) *certtoken.Certificate {
		key, err := held.NewKey(t.Context(), name)
		require.NoError(t, err)
		cert, err := selfsigned.For(t.Context(), key, selfsigned.Options{Subject: name})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, cert.Leaf.Raw, 0o600))
		return cert
	}
	synctest.Test(t, func(t *testing.T) {
		source := rotate.HeldKey(path, held)
		first := put("first")
		got, err := source.Certificate(t.Context())
		require.NoError(t, err)
		require.True(t, got.Leaf.Equal(first.Leaf))

		hang := make(chan struct{})
		held.hang.Store(&hang)
		second := put("second")
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				got, err := source.Certificate(t.Context())
				require.NoError(t, err)
				assert.True(t, got.Leaf.Equal(first.Leaf))
			})
		}
		all.Wait()
		assert.Equal(t, 5*time.Second, time.Since(began))
		require.ErrorContains(t, source.Health(), "the key store: no answer in time")
		began = time.Now()
		_, err = source.Certificate(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "it is waited for once")

		held.hang.Store(nil)
		close(hang)
		synctest.Wait()
		got, err = source.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, got.Leaf.Equal(second.Leaf))
		require.NoError(t, source.Health())
	})
}

// What a hook takes too long for isn't written when its lock has run out.
func TestAHookThatTakesLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t, func(w *world, _ *book) {
			w.options.Hooks.Done = func(rotate.Event) {}
			w.options.Hooks.Failed = func(rotate.Event) { time.Sleep(5 * time.Minute) }
		})
		a.refuse = rotate.ErrRefused
		_, err := w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "nothing more is changed")
		status, err := rotate.ReadStatus(w.file)
		require.NoError(t, err)
		assert.Nil(t, status.Failing)
	})
}
