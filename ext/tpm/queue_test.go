package tpm

import (
	"context"
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a TPM that answers what it is told to.
type fake struct {
	answer        func(command []byte) ([]byte, error)
	opened, ended int
}

func (f *fake) Send(command []byte) ([]byte, error) { return f.answer(command) }
func (f *fake) Close() error                        { f.ended++; return nil }

func (f *fake) device() *device {
	return newDevice("fake", func(string) (transport.TPMCloser, error) {
		f.opened++
		return f, nil
	})
}

// work is an hour's work on the TPM.
func work(*connection) (struct{}, error) {
	time.Sleep(time.Hour)
	return struct{}{}, nil
}

// Fifty callers are let through one by one, in the order in which they came, and the TPM is
// opened once for all of them.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		d := f.device()
		var order []int
		inside := 0
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				_, err := do(t.Context(), d, func(c *connection) (struct{}, error) {
					inside++
					assert.Equal(t, 1, inside)
					order = append(order, i)
					defer func() { inside-- }()
					return work(c)
				})
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		all.Wait()
		for i, who := range order {
			assert.Equal(t, i, who)
		}
		assert.Len(t, order, 50)
		assert.Equal(t, []int{1, 1}, []int{f.opened, f.ended})
	})
}

// A caller whose context ends leaves the queue at once, and the TPM is closed when it is
// idle, whoever came and left in the meantime.
func TestLeavingTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		d := f.device()
		var all sync.WaitGroup
		all.Go(func() { _, _ = do(t.Context(), d, work) })
		synctest.Wait()
		start := time.Now()
		for range 10 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := do(ctx, d, work)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, time.Minute, time.Since(start))
			})
		}
		all.Wait()
		assert.Equal(t, []int{1, 1}, []int{f.opened, f.ended})
	})
}

// A caller of the signer leaves too, soon after its context has ended if the TPM has begun its
// command.
func TestLeavingASignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func([]byte) ([]byte, error) {
			time.Sleep(time.Hour)
			return nil, os.ErrDeadlineExceeded
		}}
		u := &user{name: "test", path: filepath.Join(t.TempDir(), "tpm")}
		u.device().open = f.device().open
		area, err := unmarshalPublic(ecPublic(t, nil))
		require.NoError(t, err)
		k, err := newKey(&key{area: *area, handle: 0x81010001}, &config{})
		require.NoError(t, err)
		signer, err := u.signer(k)
		require.NoError(t, err)
		start := time.Now()
		took := make([]time.Duration, 2)
		var all sync.WaitGroup
		for i := range took {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := signer.SignContext(ctx, make([]byte, 32), crypto.SHA256)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				took[i] = time.Since(start)
			})
			synctest.Wait()
		}
		all.Wait()
		assert.InDelta(t, time.Minute, took[0], float64(100*time.Millisecond), "the TPM has begun")
		assert.Equal(t, time.Minute, took[1], "it waits for the TPM")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []int{1, 1}, []int{f.opened, f.ended})
	})
}

// Nothing is left open when the context ends in the moment in which the turn comes.
func TestLeavingAtTheTurn(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			d := f.device()
			var all sync.WaitGroup
			all.Go(func() { _, _ = do(t.Context(), d, work) })
			synctest.Wait()
			for range 3 {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					_, _ = do(ctx, d, work)
				})
			}
			all.Wait()
			assert.Equal(t, f.opened, f.ended)
			assert.Nil(t, d.current)
		})
	}
}

// A TPM that was left open for somebody who gave up in that moment is closed, unless somebody
// has it or waits for it.
func TestTidy(t *testing.T) {
	f := &fake{}
	d := f.device()
	d.current = &connection{tpm: f}
	d.waiting.Store(1)
	d.tidy()
	assert.NotNil(t, d.current, "somebody waits")
	d.waiting.Store(0)
	d.turn <- struct{}{}
	d.tidy()
	assert.NotNil(t, d.current, "somebody has it")
	<-d.turn
	d.tidy()
	assert.Nil(t, d.current)
	assert.Equal(t, 1, f.ended)
	assert.Empty(t, d.turn)
}

// After a failure the TPM is closed, so that nothing of it is used again.
func TestFailureCloses(t *testing.T) {
	f := &fake{}
	d := f.device()
	_, err := do(t.Context(), d, func(*connection) (int, error) { return 1, errors.New("failed") })
	require.ErrorContains(t, err, "failed")
	assert.Equal(t, 1, f.ended)
	_, err = do(t.Context(), d, func(*connection) (int, error) { panic("secret") })
	require.ErrorContains(t, err, "panicked")
	assert.NotContains(t, err.Error(), "secret")
	assert.Equal(t, 2, f.ended)
	value, err := do(t.Context(), d, func(*connection) (int, error) { return 1, nil })
	require.NoError(t, err)
	assert.Equal(t, 1, value)
}

// However the path of a TPM is written, its callers stand in one queue.
func TestOneQueue(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has one TPM and no path for it")
	}
	dir := t.TempDir()
	device, link := filepath.Join(dir, "tpm0"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(device, nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	for name, target := range map[string]string{"link": "tpm0", "self": dir, "a/up": "../tpm0", "down": "a/b"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	d := deviceOf(device)
	t.Chdir(dir)
	for _, path := range []string{
		device, link, "tpm0", "link", "self/link", "./self/self/tpm0", "a/up", "down/../up", dir + "//tpm0",
	} {
		assert.Same(t, d, deviceOf(path), path)
	}
	assert.Same(t, deviceOf(filepath.Join(dir, "none")), deviceOf("none"), "it isn't there yet")

	source, err := FromFile("private.tpm", WithDevice("link"))
	require.NoError(t, err)
	t.Chdir("/")
	assert.Same(t, d, source.user.device(), "the program has changed its folder")
	other := filepath.Join(dir, "tpm1")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink("tpm1", link))
	assert.Same(t, deviceOf(other), source.user.device(), "the link leads elsewhere now")
	assert.NotSame(t, d, deviceOf(other))
}

// A TPM that doesn't answer is waited for once, however much is loaded in it.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 2 * time.Minute
		sent := 0
		f := &fake{answer: func([]byte) ([]byte, error) {
			sent++
			time.Sleep(limit)
			return nil, os.ErrDeadlineExceeded
		}}
		d := f.device()
		start := time.Now()
		_, err := do(t.Context(), d, func(c *connection) (*object, error) {
			c.loaded = &loadedKey{
				object: tpm2.NamedHandle{Handle: 0x80000001},
				parent: &object{transient: true, NamedHandle: tpm2.NamedHandle{Handle: 0x80000000}},
			}
			return c.readPublic(0x81000001)
		})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, limit, time.Since(start))
		assert.Equal(t, []int{1, 1, 1}, []int{sent, f.opened, f.ended})

		_, err = do(t.Context(), d, func(c *connection) (*object, error) { return c.readPublic(0x81000001) })
		require.Error(t, err)
		assert.Equal(t, []int{2, 2, 2}, []int{sent, f.opened, f.ended}, "the next caller opens it anew")
	})
}

// Whatever happens while the TPM is closed, it is the next caller's turn.
func TestPanicWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func([]byte) ([]byte, error) { panic("at TPM2_FlushContext") }}
		d := f.device()
		load := func(c *connection) (int, error) {
			c.loaded = &loadedKey{parent: &object{transient: true, NamedHandle: tpm2.NamedHandle{Handle: 0x80000000}}}
			return 1, nil
		}
		fail := func(c *connection) (int, error) { _, _ = load(c); return 0, errors.New("failed") }
		for _, f := range []func(*connection) (int, error){load, fail, load} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := do(ctx, d, f)
			cancel()
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
		}
		assert.Equal(t, []int{3, 3}, []int{f.opened, f.ended})

		d.current = &connection{tpm: f}
		_, _ = load(d.current)
		d.tidy()
		assert.Empty(t, d.turn)
		assert.Nil(t, d.current)
		assert.Equal(t, 4, f.ended)
	})
}

// What a TPM answers that is broken, or isn't one, is an error.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string][]byte{
		"nothing":    nil,
		"too short":  {0x80, 1, 0, 0, 0, 7, 0},
		"empty":      {0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0},
		"text":       []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"long claim": {0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0xff, 0xff},
		"unknown":    {0x80, 1, 0, 0, 0, 10, 0xff, 0xff, 0xff, 0xff},
	} {
		f := &fake{answer: func([]byte) ([]byte, error) { return answer, nil }}
		_, err := do(t.Context(), f.device(), func(c *connection) (*object, error) { return c.readPublic(0x81000001) })
		assert.Error(t, err, name)
		_, err = do(t.Context(), f.device(), func(c *connection) (*object, error) {
			return c.parent(tpm2.TPMRHOwner, false, nil)
		})
		assert.Error(t, err, name)
	}
}

// A TPM that isn't ready is asked again, and not for ever.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		busy := []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0x09, 0x22}
		f := &fake{answer: func([]byte) ([]byte, error) {
			if asked++; asked < 5 {
				return busy, nil
			}
			return []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}, nil
		}}
		answer, err := patient{f}.Send(nil)
		require.NoError(t, err)
		assert.False(t, notReady(answer))
		assert.Equal(t, 5, asked)

		start := time.Now()
		f.answer = func([]byte) ([]byte, error) { return busy, nil }
		answer, err = patient{f}.Send(nil)
		require.NoError(t, err)
		assert.True(t, notReady(answer))
		assert.Less(t, time.Since(start), 2*longestWait)
	})
}

// Why a TPM can't be opened is said with what to do.
func TestOpenErrors(t *testing.T) {
	for _, err := range []error{fs.ErrNotExist, fs.ErrPermission, errors.New("broken")} {
		d := newDevice("/dev/tpmrm0", func(string) (transport.TPMCloser, error) { return nil, err })
		_, got := do(t.Context(), d, work)
		assert.ErrorIs(t, got, ErrNoTPM)
		assert.ErrorIs(t, got, err)
		assert.ErrorContains(t, got, "/dev/tpmrm0")
	}
}
