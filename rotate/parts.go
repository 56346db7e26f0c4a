package rotate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/inside"
	"github.com/certtoken/certtoken/internal/redact"
)

// lockLimit is how long a lock of Options.Lock lasts if its holder has ended.
const lockLimit = stepLimit + 30*time.Second

// lockSafe is how long after it was asked for a lock surely lasts, with time for one write.
const lockSafe = lockLimit - 10*time.Second

// parts are what a rotation is made of.
type parts struct {
	options Options
	client  *certtoken.Client
	about   inside.Client
	pair    *pair
	ask     *asker
	granted func() (sum [32]byte, granted bool) // of the pair that the client follows
}

// errStepLimit is why the context of a step ends where its caller's doesn't.
var errStepLimit = fmt.Errorf("a step takes over %v", stepLimit)

// interrupted is the cause if the caller's context has ended, as when its program does: that is
// no failure of a step.
func interrupted(ctx context.Context) error {
	if cause := context.Cause(ctx); ctx.Err() != nil && !errors.Is(cause, errStepLimit) {
		return fmt.Errorf("rotate: %w", cause)
	}
	return nil
}

// checkFollows reports why a new file in dir wouldn't reach the client.
func (p *parts) checkFollows(dir string) error {
	switch {
	case p.client == nil || p.about.ID == "":
		return errors.New("no client: make one by certtoken.NewClient")
	case p.about.GrantOnly:
		return fmt.Errorf("%w: it proves itself by no key", ErrNotFollowed)
	case p.pair == nil:
		return fmt.Errorf("%w: its source must be a CertFile, a KeyFile or a HeldKey", ErrNotFollowed)
	case p.pair.file.Thumbprint != "":
		return fmt.Errorf("%w: WithThumbprint selects the old certificate for ever", ErrNotFollowed)
	case !isFolderOf(dir, p.pair.file.Path):
		return fmt.Errorf("%w: it follows %s, which isn't in %q", ErrNotFollowed, p.pair.file.Path, dir)
	}
	return nil
}

// isFolderOf reports whether a file is in a folder, by its own name or that which a link
// leads to.
func isFolderOf(dir, path string) bool {
	want, err := os.Stat(dir)
	if err != nil {
		return false
	}
	paths := []string{path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		paths = append(paths, real)
	}
	for _, path := range paths {
		if has, err := os.Stat(filepath.Dir(path)); err == nil && os.SameFile(want, has) {
			return true
		}
	}
	return false
}

// failed is the error of what failed outside of a step.
func (p *parts) failed(ctx context.Context, step Step, err error) error {
	if ended := interrupted(ctx); ended != nil {
		return ended
	}
	err = redact.Error(err)
	failure := &Error{Step: step, Advice: adviceFor(step, err, p.ask.name.text), Err: err}
	p.options.Log.Error("rotate: failed", slog.String("step", string(step)), slog.Any("error", err))
	p.call(p.options.Hooks.Failed, Event{Step: step, Err: failure, Advice: failure.Advice})
	return failure
}

// call calls a hook. Its panic doesn't reach the step, which is recorded or will be.
func (p *parts) call(hook func(Event), e Event) {
	if hook == nil {
		return
	}
	if _, err := guarded("a hook", func() (struct{}, error) { hook(e); return struct{}{}, nil }); err != nil {
		p.options.Log.Error("rotate: a hook failed", slog.Any("error", err))
	}
}

// lock takes the lock of the rotation. unlock is nil where another process has it.
func (p *parts) lock(ctx context.Context) (unlock func(), err error) {
	at, err := p.pair.places()
	if err != nil {
		return nil, err
	}
	if p.options.Lock == nil {
		return p.pair.disk.TryLock(at.main + lockSuffix)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	name := sha256.Sum256([]byte(p.about.ID + "\x00" + filepath.Base(at.main)))
	release, err := guarded("Options.Lock", func() (func(context.Context) error, error) {
		return p.options.Lock.TryLock(ctx, "rotate-"+hex.EncodeToString(name[:16]), lockLimit)
	})
	if err != nil || release == nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = guarded("Options.Lock", func() (struct{}, error) { return struct{}{}, release(ctx) }) // it ends by itself
	}, nil
}
