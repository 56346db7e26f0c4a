package tpm

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/go-tpm/tpm2/transport"
)

// device is a TPM. It is open only while somebody uses it or waits for it, by one caller at
// a time. Memory for keys and sessions is short in a TPM: most have room for three keys.
type device struct {
	path string
	open func(path string) (transport.TPMCloser, error)

	turn    chan struct{} // holds the caller whose turn it is; the runtime's queue is first come first served
	waiting atomic.Int32
	current *connection // of the one whose turn it is; nil: closed
}

// devices are the TPMs that this process has used, by path without symbolic links: sources
// that share a TPM share its queue.
var devices sync.Map

// deviceOf is the device that a path leads to now.
func deviceOf(path string) *device {
	path = resolved(absolute(path))
	known, _ := devices.LoadOrStore(path, newDevice(path, openTransport))
	return known.(*device)
}

func newDevice(path string, open func(string) (transport.TPMCloser, error)) *device {
	return &device{path: path, open: open, turn: make(chan struct{}, 1)}
}

// enter waits for the caller's turn, or until the context ends.
func (d *device) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.waiting.Add(1)
	select {
	case d.turn <- struct{}{}:
		d.waiting.Add(-1)
		return nil
	case <-ctx.Done():
		d.waiting.Add(-1)
		d.tidy()
		return fmt.Errorf("gave up waiting for the TPM: %w", context.Cause(ctx))
	}
}

// leave gives the turn to the next. The TPM stays open for them, with the key in it; if
// nobody waits, it is closed.
func (d *device) leave() {
	defer d.tidy()
	defer func() { <-d.turn }()
	if d.waiting.Load() == 0 {
		d.shut()
	}
}

// tidy closes a TPM that was left open for somebody who has given up since.
func (d *device) tidy() {
	if d.waiting.Load() > 0 {
		return
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
		d.shut()
	default: // who has the turn closes it
	}
}

// connect is the open TPM of the one whose turn it is.
func (d *device) connect() (*connection, error) {
	if d.current != nil {
		return d.current, nil
	}
	tpm, err := d.open(d.path)
	if err != nil {
		return nil, openError(d.path, err)
	}
	d.current = &connection{tpm: &breaking{TPMCloser: patient{tpm}}}
	return d.current, nil
}

// shut closes the TPM, and takes the keys out of it first: one that isn't behind a resource
// manager would keep them. If that fails, nothing else can be done.
func (d *device) shut() {
	c := d.current
	d.current = nil
	if c == nil {
		return
	}
	defer func() { _ = recover() }() // the TPM's library panics at some answers
	defer func() { _ = c.tpm.Close() }()
	c.unload()
}

// do calls f when it is the caller's turn, on the open TPM. The context ends the waiting. A
// command that the TPM has begun can't be broken off, so callers that are to be able to leave
// then call it in a goroutine of their own.
func do[T any](ctx context.Context, d *device, f func(*connection) (T, error)) (T, error) {
	var none T
	if err := d.enter(ctx); err != nil {
		return none, err
	}
	defer d.leave()
	value, err := guarded(d, f)
	if err != nil {
		d.shut() // what the TPM holds after a failure isn't known
		return none, err
	}
	return value, nil
}

// guarded turns a panic of the TPM's library, which reads what the TPM answers, into an error.
func guarded[T any](d *device, f func(*connection) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the TPM's answer can't be read: the library panicked with a %T", p)
		}
	}()
	c, err := d.connect()
	if err != nil {
		return value, err
	}
	return f(c)
}
