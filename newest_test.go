package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// moody is a source that answers, fails or hangs as it is told. It ignores its context.
type moody struct {
	cert  *certtoken.Certificate
	delay atomic.Int64
	gate  atomic.Pointer[chan struct{}] // nil: it doesn't hang
	now   atomic.Int32                  // goroutines in it
	most  atomic.Int32                  // goroutines in it at once
	asked atomic.Int32
}

func (m *moody) enter() (leave func()) {
	m.asked.Add(1)
	if n := m.now.Add(1); n > m.most.Load() {
		m.most.Store(n)
	}
	if gate := m.gate.Load(); gate != nil {
		<-*gate
	}
	if d := m.delay.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	return func() { m.now.Add(-1) }
}

func (m *moody) Certificate(context.Context) (*certtoken.Certificate, error) {
	defer m.enter()()
	return m.cert, nil
}

func (m *moody) Reload(context.Context, *certtoken.Certificate) error {
	defer m.enter()()
	return nil
}

// hang makes it hang until the returned function is called.
func (m *moody) hang() (release func()) {
	gate := make(chan struct{})
	m.gate.Store(&gate)
	return func() {
		m.gate.Store(nil)
		close(gate)
	}
}

// oldAndRecent are valid in real time and in that of a bubble.
func oldAndRecent(t *testing.T) (old, recent *certtoken.Certificate) {
	const years = 365 * 24 * time.Hour
	now := time.Now()
	return certOf(t, newKey(t), now.Add(-41*years), 80*years), certOf(t, newKey(t), now.Add(-40*years), 80*years)
}

func TestNewestValidWithASourceThatHangs(t *testing.T) {
	old, recent := oldAndRecent(t)
	for _, order := range []string{"first", "last"} {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good, bad := &moody{cert: old}, &moody{cert: recent}
				release := bad.hang()
				sources := []certtoken.CertSource{bad, good}
				if order == "last" {
					sources = []certtoken.CertSource{good, bad}
				}
				source := certtoken.NewestValid(sources...)
				ask := func() *certtoken.Certificate {
					t.Helper()
					cert, err := source.Certificate(t.Context())
					require.NoError(t, err)
					return cert
				}
				began := time.Now()
				assert.Same(t, old, ask())
				assert.Equal(t, 2*time.Second, time.Since(began), "its share of the time")
				for range 5 {
					assert.Same(t, old, ask())
				}
				require.ErrorContains(t, source.(interface{ Health() error }).Health(), "does not answer")
				require.ErrorContains(t, source.(certtoken.Reloader).Reload(t.Context(), recent), "does not answer")
				assert.Equal(t, 8*time.Second, time.Since(began), "Reload waits longer; who comes later doesn't wait")
				assert.EqualValues(t, 1, bad.asked.Load(), "one goroutine is in it")

				release()
				synctest.Wait()
				assert.NoError(t, source.(interface{ Health() error }).Health())
				time.Sleep(10 * time.Minute) // that the refused one stands back
				assert.Same(t, recent, ask())
				assert.EqualValues(t, 1, bad.most.Load())
			})
		})
	}
}

func TestNewestValidGoesOnWithTheLastAnswer(t *testing.T) {
	old, recent := oldAndRecent(t)
	synctest.Test(t, func(t *testing.T) {
		good, bad := &moody{cert: old}, &moody{cert: recent}
		source := certtoken.NewestValid(bad, good)
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		require.Same(t, recent, cert)
		defer bad.hang()()
		for range 3 {
			cert, err = source.Certificate(t.Context())
			require.NoError(t, err)
			assert.Same(t, recent, cert)
		}
	})
}

// A slow source is waited for where there is no other, and a late answer is used.
func TestNewestValidWithASlowSource(t *testing.T) {
	old, recent := oldAndRecent(t)
	for name, c := range map[string]struct {
		slow  time.Duration
		other certtoken.CertSource
		first *certtoken.Certificate
		takes time.Duration
		then  *certtoken.Certificate
	}{
		"with another": {slow: 3 * time.Second, other: old, first: old, takes: 2 * time.Second, then: recent},
		"alone":        {slow: 3 * time.Second, first: recent, takes: 3 * time.Second, then: recent},
		"with one that fails": {slow: 12 * time.Second, first: recent, takes: 12 * time.Second, then: recent,
			other: certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
				return nil, errors.New("sealed")
			})},
		"too slow": {slow: time.Minute, takes: 16 * time.Second, then: recent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &moody{cert: recent}
				slow.delay.Store(int64(c.slow))
				sources := []certtoken.CertSource{slow}
				if c.other != nil {
					sources = append(sources, c.other)
				}
				source := certtoken.NewestValid(sources...)
				began := time.Now()
				cert, err := source.Certificate(t.Context())
				assert.Equal(t, c.takes, time.Since(began))
				if c.first == nil {
					require.ErrorContains(t, err, "source 1: the source does not answer")
				} else {
					require.NoError(t, err)
					assert.Same(t, c.first, cert)
				}
				time.Sleep(time.Minute) // the late answer is there
				cert, err = source.Certificate(t.Context())
				require.NoError(t, err)
				assert.Same(t, c.then, cert)
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestNewestValidIsLeftWithTheContext(t *testing.T) {
	_, recent := oldAndRecent(t)
	synctest.Test(t, func(t *testing.T) {
		bad := &moody{cert: recent}
		defer bad.hang()()
		why := errors.New("why")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		_, err := certtoken.NewestValid(bad).Certificate(ctx)
		assert.ErrorIs(t, err, why)
	})
}

// A source that panics or fails in its own goroutine doesn't end the program.
func TestNewestValidSurvivesAPanic(t *testing.T) {
	old, _ := oldAndRecent(t)
	panics := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic("secret") })
	cert, err := certtoken.NewestValid(panics, old).Certificate(t.Context())
	require.NoError(t, err)
	assert.Same(t, old, cert)
	_, err = certtoken.NewestValid(panics).Certificate(t.Context())
	require.ErrorContains(t, err, "panicked")
	assert.NotContains(t, fmt.Sprint(err), "secret")
}

// Many callers at once: one goroutine is in a source at a time, each of its methods
// counted, and everybody gets a certificate.
func TestNewestValidUnderLoad(t *testing.T) {
	old, recent := oldAndRecent(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := &moody{cert: old}, &moody{cert: recent}
		a.delay.Store(int64(10 * time.Millisecond))
		b.delay.Store(int64(30 * time.Millisecond))
		source := certtoken.NewestValid(a, b)
		for i := range 50 {
			go func() {
				if i%10 == 0 {
					assert.NoError(t, source.(certtoken.Reloader).Reload(t.Context(), old))
				}
				cert, err := source.Certificate(t.Context())
				assert.NoError(t, err)
				assert.Same(t, recent, cert)
			}()
		}
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, a.most.Load())
		assert.EqualValues(t, 1, b.most.Load())
	})
}

// A source that is busy reloading is asked for its certificate afterwards.
func TestNewestValidWaitsForAReload(t *testing.T) {
	_, recent := oldAndRecent(t)
	synctest.Test(t, func(t *testing.T) {
		busy := &moody{cert: recent}
		busy.delay.Store(int64(time.Second))
		source := certtoken.NewestValid(busy)
		go func() { assert.NoError(t, source.(certtoken.Reloader).Reload(t.Context(), recent)) }()
		synctest.Wait()
		began := time.Now()
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.Same(t, recent, cert)
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}
