package certtoken

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/panics"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/workers"
)

const (
	saveLimit    = 5 * time.Second // for one call of a session's save
	saveAgain    = time.Second     // the first pause before it is called again; it doubles
	saveAgainMax = 5 * time.Minute
	maxChain     = 16 // successors that are followed at once
)

// errNoSave says that a session can't keep what the server gives it.
var errNoSave = errors.New("no function to save refresh tokens with")

// refreshing is the refresh token of a session and how it is kept. One goroutine at a time
// redeems it.
type refreshing struct {
	save func(context.Context, string) error
	work *workers.Group
	hook func(Event) // for a save that failed, or nil

	turn chan struct{} // has an element while somebody uses the refresh token

	mu      sync.Mutex // guards the rest
	current string
	unsaved bool      // save hasn't returned for current without an error
	again   bool      // a goroutine calls save again
	saving  *saveCall // under way; nil: none
}

func newRefreshing(
	token string, save func(context.Context, string) error, work *workers.Group, hook func(Event),
) *refreshing {
	return &refreshing{save: save, work: work, hook: hook, turn: make(chan struct{}, 1), current: token}
}

// successors knows, for the refresh tokens that other processes redeemed, what they were
// given for them.
type successors interface {
	// lock takes the lock of a refresh token. It waits until others have released it, for
	// a bounded time.
	lock(ctx context.Context, token string) (unlock func())
	// of returns the refresh token that came for another one, or "".
	of(ctx context.Context, token string) string
	// keep tells other processes what came for a refresh token.
	keep(ctx context.Context, token, next string)
}

func (r *refreshing) token() (current string, unsaved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.unsaved
}

// enter waits until nobody else uses the refresh token.
func (r *refreshing) enter(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the refresh token is in use by another request: %w", context.Cause(ctx))
	}
}

func (r *refreshing) leave() { <-r.turn }

// renew redeems the refresh token. A new one is saved before the callers have their token,
// if that goes quickly, and before it is redeemed in turn.
func (r *refreshing) renew(
	ctx context.Context, about Event, others successors, redeem func(token string) (*Token, error),
) (*Token, error) {
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	r.saveNow(ctx, about)
	token, unlock := r.newest(ctx, others)
	defer func() { unlock() }()
	t, err := redeem(token)
	if others != nil && refusesGrant(err) {
		// Somebody may have redeemed it who couldn't be waited for.
		if next := others.of(ctx, token); next != "" {
			unlock()
			r.adopt(next, false)
			token, unlock = r.newest(ctx, others)
			t, err = redeem(token)
		}
	}
	if err != nil {
		return nil, err
	}
	if next := t.RefreshToken(); next != "" && next != token {
		r.adopt(next, true)
		if others != nil {
			others.keep(context.WithoutCancel(ctx), token, next)
		}
		r.saveNow(ctx, about)
	}
	return t, nil
}

// newest locks the refresh token that is in force. Other processes may have redeemed the
// one that this process knows.
func (r *refreshing) newest(ctx context.Context, others successors) (token string, unlock func()) {
	token, _ = r.token()
	if others == nil {
		return token, func() {}
	}
	for range maxChain {
		unlock = others.lock(ctx, token)
		next := others.of(ctx, token)
		if next == "" || next == token {
			return token, unlock
		}
		unlock()
		token = next
		r.adopt(next, false)
	}
	return token, func() {}
}

func (r *refreshing) adopt(token string, unsaved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.unsaved = token, unsaved
}

// saveNow saves the refresh token if it isn't saved yet. If that fails, a hook is told and
// a goroutine tries again. The caller has the turn.
func (r *refreshing) saveNow(ctx context.Context, about Event) {
	if _, unsaved := r.token(); !unsaved {
		return
	}
	err := r.callSave(ctx)
	if err == nil {
		return
	}
	r.tell(ctx, about, err, saveAgain)
	r.mu.Lock()
	start := !r.again
	r.again = true
	r.mu.Unlock()
	if start { // a flight runs, so Close still waits for new goroutines
		r.work.Go(partSave, func() { r.keepSaving(about) })
	}
}

// keepSaving calls save until it succeeds or the client is closed.
func (r *refreshing) keepSaving(about Event) {
	ctx := r.work.Context()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.again = false
	}()
	for pause := saveAgain; ; pause = min(2*pause, saveAgainMax) {
		if !workers.Sleep(ctx, pause) || r.enter(ctx) != nil {
			return
		}
		_, unsaved := r.token()
		var err error
		if unsaved {
			err = r.callSave(ctx)
		}
		r.leave()
		if err == nil {
			return
		}
		r.tell(ctx, about, err, min(2*pause, saveAgainMax))
	}
}

// saveCall is a call of the user's function.
type saveCall struct {
	began time.Time
	done  chan struct{} // closed when err is set
	err   error
}

// errSaveHangs says that a call has not returned in its time. No other is made until it has: a
// late one could put an old refresh token in the place of a new one.
var errSaveHangs = fmt.Errorf("save did not return within %v, and isn't called again before it has", saveLimit)

// callSave calls the user's function once, and waits for it as long as it may take. One that ignores
// its context goes on alone.
func (r *refreshing) callSave(ctx context.Context) error {
	for {
		call := r.startSave(ctx)
		err := call.wait()
		if _, unsaved := r.token(); err != nil || !unsaved {
			return err
		}
		// It was a late call for an older refresh token.
	}
}

// wait returns the call's result, if it comes in the call's time.
func (c *saveCall) wait() error {
	limit := time.NewTimer(saveLimit - time.Since(c.began))
	defer limit.Stop()
	select {
	case <-c.done:
		return c.err
	case <-limit.C:
		return errSaveHangs
	}
}

// startSave begins a call for the present refresh token, unless one is under way. The caller has the turn.
func (r *refreshing) startSave(ctx context.Context) *saveCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.saving == nil {
		call := &saveCall{began: time.Now(), done: make(chan struct{}), err: errSaveEnded}
		token := r.current
		r.saving = call
		r.work.Go(partSave, func() { // Close waits for it, and names it if it hangs
			defer r.endSave(call)
			call.err = r.askSave(ctx, token)
		})
	}
	return r.saving
}

// errSaveEnded is the result of a function that ended its goroutine.
var errSaveEnded = errors.New("save ended its goroutine")

func (r *refreshing) endSave(call *saveCall) {
	r.mu.Lock()
	r.saving = nil
	r.mu.Unlock()
	close(call.done)
}

// askSave calls the user's function. Its panic is an error without its text.
func (r *refreshing) askSave(ctx context.Context, token string) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error(partSave, p)
		}
	}()
	if err := r.save(ctx, token); err != nil {
		return redact.New(token).Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaved = r.unsaved && r.current != token
	return nil
}

func (r *refreshing) tell(ctx context.Context, about Event, err error, again time.Duration) {
	about.Err = public(fmt.Errorf("the session's refresh token was not saved: %w", err))
	about.RetryIn = again
	emitIn(ctx, r.hook, about)
}

// refusesGrant reports whether the server no longer takes a refresh token.
func refusesGrant(err error) bool {
	var te *TokenError
	return errors.As(err, &te) && te.Code == "invalid_grant"
}
