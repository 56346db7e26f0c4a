package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/inside"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/workers"
	"github.com/certtoken/certtoken/rotate/internal/disk"
)

const (
	maxSteps = 32 // that one call makes: the six of a rotation, and the removal of all retired keys

	heldAgain = 15 * time.Second // after another process had the lock
	runLeast  = time.Second      // between two looks of Run
	runMost   = time.Hour        // between two looks of Run: somebody may have replaced the file
)

// Rotation rotates the key of one client. It may be used from many goroutines; steps are made
// one at a time. There is nothing to close.
type Rotation struct{ parts }

// New makes the rotation of the certificate file that client follows, which must be in the
// folder dir. It reads no file and asks no server yet. The error wraps [ErrNotFollowed] if the
// client follows no file there, and names every mistake in the options.
func New(client *certtoken.Client, registrar Registrar, dir string) (*Rotation, error) {
	return Options{}.New(client, registrar, dir)
}

// New is the function [New] with these options.
func (o Options) New(client *certtoken.Client, registrar Registrar, dir string) (*Rotation, error) {
	errs := []error{o.validate()}
	if registrar == nil {
		errs = append(errs, errors.New("no registrar: give Graph, JWKS, Exec or one of your own"))
	}
	if checked, ok := registrar.(interface{ validate() error }); ok {
		errs = append(errs, checked.validate())
	}
	r := &Rotation{parts{client: client}}
	if client != nil {
		r.about = inside.ClientOf(client)
	}
	d := disk.Disk{Fault: o.fault}
	switch source := r.about.Source.(type) {
	case *HeldKeySource:
		d.Like = source.path
		r.pair = &pair{file: inside.File{Path: source.path}, store: source.store, disk: d}
		r.granted = source.newest
	default:
		file, ok := inside.FileOf(source)
		if ok {
			d.Like = file.Path
			r.pair = &pair{file: file, disk: d}
			r.granted = file.Granted
		}
	}
	errs = append(errs, r.checkFollows(dir))
	r.ask = &asker{registrar: registrar, disk: d}
	if registrar != nil {
		var err error
		r.ask.name, err = nameOf(registrar)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	r.options = o.withDefaults(r.about.Scopes)
	return r, nil
}

// Run makes every step when it is due, until the context ends, and returns its cause. A step
// that fails is tried again after a minute, then after longer pauses up to an hour. Hooks, log
// and Status say why.
func (r *Rotation) Run(ctx context.Context) error {
	for {
		status, err := r.Advance(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, certtoken.ErrClosed) {
			return err
		}
		if !workers.Sleep(ctx, pauseUntil(status, time.Now())) {
			return context.Cause(ctx)
		}
	}
}

// pauseUntil is how long Run waits. It differs a little each time, so that the members of a
// fleet don't look at the same moment.
func pauseUntil(status Status, now time.Time) time.Duration {
	pause := status.Due.Sub(now)
	switch {
	case status.Held:
		pause = heldAgain
	case status.Due.IsZero():
		pause = time.Minute
	}
	pause = min(max(pause, runLeast), runMost)
	return pause + time.Duration(rand.Float64()*float64(pause)/10)
}

// Advance makes the steps that are due, one after the other, until one isn't due yet or fails.
// It is what a timer or cron runs. It doesn't wait, neither for the server to learn of a
// new key nor for another process: Status says what comes next, and when. The error is an
// [*Error] where a step failed. The Status is valid also then.
func (r *Rotation) Advance(ctx context.Context) (Status, error) { return r.advance(ctx, false) }

// Begin is Advance for a rotation that isn't due yet, such as for a key that may have leaked.
// If one is under way, it goes on with that.
func (r *Rotation) Begin(ctx context.Context) (Status, error) { return r.advance(ctx, true) }

func (r *Rotation) advance(ctx context.Context, now bool) (status Status, err error) {
	for range maxSteps {
		var again bool
		again, status, err = r.step(ctx, now)
		if err != nil || !again {
			return status, err
		}
		now = false
	}
	return status, nil
}

// Status says how far the rotation is, and changes nothing. It reads the state and the
// certificate file, and asks no server.
func (r *Rotation) Status(ctx context.Context) (Status, error) {
	quiet := r.parts // what is found is told by the step that records it
	quiet.options.Hooks, quiet.options.Log = Hooks{}, slog.New(slog.DiscardHandler)
	t, err := begin(ctx, &quiet, time.Time{})
	if err != nil {
		return Status{}, fmt.Errorf("rotate: %w", redact.Error(err))
	}
	if t.state.Step == StepWait && t.state.Failing == nil {
		t.setDue() // the options may be others than those of the last run
	}
	return t.state.present(), nil
}

// Forget drops an orphan, named by its thumbprint, that somebody has removed from the
// registration by hand. Where the registrar is a [Finder] that can find keys, a rotation notices
// by itself. Without such an orphan, or while another process makes a step, it is an error.
func (r *Rotation) Forget(ctx context.Context, thumbprint string) error {
	until := time.Now().Add(lockSafe)
	unlock, err := r.lock(ctx)
	if err != nil {
		return fmt.Errorf("rotate: the lock: %w", redact.Error(err))
	}
	if unlock == nil {
		return errors.New("rotate: another process makes a step just now: try again")
	}
	defer unlock()
	t, err := begin(ctx, &r.parts, until)
	if err != nil {
		return fmt.Errorf("rotate: %w", redact.Error(err))
	}
	if !t.state.forget(thumbprint) {
		return fmt.Errorf("rotate: there is no orphan with the thumbprint %.100q", thumbprint)
	}
	return t.save()
}

// step makes one step. again reports whether the next one can follow at once.
func (r *Rotation) step(ctx context.Context, now bool) (again bool, status Status, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stepLimit, errStepLimit)
	defer cancel()
	until := time.Now().Add(lockSafe)
	unlock, err := r.lock(ctx)
	if err != nil {
		return false, Status{}, r.failed(ctx, StepWait, fmt.Errorf("the lock: %w", err))
	}
	if unlock == nil {
		status, err := r.Status(ctx)
		status.Held = true
		return false, status, err
	}
	defer unlock()
	t, err := begin(ctx, &r.parts, until)
	if err != nil {
		return false, Status{}, r.failed(ctx, StepWait, err)
	}
	again, err = t.make(ctx, now)
	return again, t.state.present(), err
}
