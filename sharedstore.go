package certtoken

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/workers"
)

const (
	storeLimit = time.Second     // for one call of a Store
	storePause = 5 * time.Second // without calls, after one that failed
	lockLife   = 12 * time.Second
	lockWait   = 10 * time.Second // then the request is made without the lock
	lockPoll   = 50 * time.Millisecond
)

// sharedStore is a Store with our names and seals. It never fails its caller:
// while the store is broken, it has nothing.
type sharedStore struct {
	store Store
	keys  func() []seal.Key // the first seals, all open; a function, so that no dump walks into them

	clientID     string
	capabilities []string
	clock        *clock.Clock
	server       *clock.Offset // the endpoint's clock
	work         *workers.Group
	failed       func(Event)    // the hook, or nil
	bindings     *mtls.Bindings // nil: tokens are bound to no certificate

	downUntil atomic.Int64  // clock reading until which the store is left alone
	calls     chan struct{} // one token for each call that may be under way
}

// maxStoreCalls bounds the goroutines that a store which ignores its context
// can hold.
const maxStoreCalls = 64

// newStoreKeys derives a key from each of the user's secrets.
func newStoreKeys(secrets [][]byte) ([]seal.Key, error) {
	var keys []seal.Key
	for _, secret := range secrets {
		k, err := seal.NewKey(secret)
		if err != nil {
			return nil, fmt.Errorf("WithStore: %w", err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// entryParts is what makes one token different from another.
func (s *sharedStore) entryParts(authority Authority, k cache.Key, b *mtls.Binding) []string {
	scopes := slices.Sorted(slices.Values(k.Scopes))
	parts := []string{authority.endpoint(), s.clientID}
	if len(authority.params) > 0 { // each with a space, which no scope has
		parts = append(parts, "with "+authority.params.Encode())
	}
	if b != nil {
		sum := b.Sum()
		parts = append(parts, "bound to "+string(sum[:]))
	}
	if len(s.capabilities) > 0 {
		parts = append(parts, "able to "+strings.Join(slices.Sorted(slices.Values(s.capabilities)), " "))
	}
	if k.User != "" {
		parts = append(parts, "on behalf of "+k.User)
	}
	return append(parts, scopes...)
}

// fetch gets a token from the store, or else from the origin while the other
// processes wait for it. It is stored when the callers have it, so that a slow
// store costs them nothing. b is the binding of the certificate in use, or nil.
func (s *sharedStore) fetch(
	ctx context.Context, authority Authority, call *tokenCall, b *mtls.Binding, origin func() (*Token, error),
) (out cache.Fetched[Token]) {
	k, want := call.Key, call.Want
	parts := s.entryParts(authority, k, b)
	unlock := func() {}
	if want.Cacheable() {
		search := &search{key: k, parts: parts, binding: b, before: call.Before}
		if t := s.load(ctx, search); s.valid(t, want.MinValidity) {
			return cache.Fetched[Token]{Token: t, Shared: true}
		}
		var t *Token
		t, unlock = s.lock(ctx, search)
		if s.valid(t, want.MinValidity) {
			return cache.Fetched[Token]{Token: t, Shared: true, After: func(bool) { unlock() }}
		}
	}
	orElse(unlock, func() { out.Token, out.Err = origin() })
	out.After = func(kept bool) {
		defer unlock()
		if t := out.Token; kept && t != nil && t.secret().user().binding == b {
			s.save(context.WithoutCancel(ctx), k, parts, t)
		}
	}
	return out
}

// orElse calls f, and undo if that panics or ends the goroutine, as a source, a
// signer or a hook can.
func orElse(undo, f func()) {
	returned := false
	defer func() {
		if !returned {
			undo()
		}
	}()
	f()
	returned = true
}

// valid reports whether t is handed out now and for a further while.
func (s *sharedStore) valid(t *Token, further time.Duration) bool {
	return t != nil && further < t.life.End-s.clock.Age(&t.life) && s.presentable(t)
}

// presentable reports whether a token is bound to the certificate in use, or to none.
func (s *sharedStore) presentable(t *Token) bool {
	return s.bindings == nil || s.bindings.InUse(t.secret().user().binding)
}

// search is one flight's search for a token in the store.
type search struct {
	key     cache.Key
	parts   []string
	binding *mtls.Binding
	before  *Token // that the slot has; only a newer one is of use
	told    bool   // that an entry can't be read: who waits for a lock looks many times
}

// load looks for the token once.
func (s *sharedStore) load(ctx context.Context, l *search) *Token {
	for _, sk := range s.keys() {
		name := sk.Name(l.parts...)
		var sealed []byte
		err := s.callStore(ctx, l.key, func(ctx context.Context) (err error) {
			sealed, err = s.store.Get(ctx, name)
			return err
		})
		if err != nil {
			continue
		}
		st, err := openEntry(sk, name, sealed)
		if err != nil {
			if !l.told {
				l.told = true
				s.storeFailed(ctx, l.key, err)
			}
			continue
		}
		t := st.token(l.key.Scopes, s.clock.Look(), s.server.Ahead(), l.binding)
		// One that is due will do for a process that has nothing else.
		useful := t != nil && (s.clock.Age(&t.life) < t.life.Renew || !s.valid(l.before, 0))
		if useful && (l.before == nil || t.expires > l.before.expires || !s.presentable(l.before)) {
			if s.bindings != nil {
				s.bindings.Adopt(l.binding)
			}
			return t
		}
	}
	return nil
}

// save stores a token, sealed with the first key.
func (s *sharedStore) save(ctx context.Context, k cache.Key, parts []string, t *Token) {
	sk := s.keys()[0]
	name := sk.Name(parts...)
	sealed, err := sealEntry(sk, name, newStoredToken(t))
	if err != nil {
		s.storeFailed(ctx, k, err)
		return
	}
	_ = s.callStore(ctx, k, func(ctx context.Context) error {
		return s.store.Set(ctx, name, sealed, t.life.End-t.life.Granted)
	})
}

// lock takes the key's lock, or waits until its holder has stored a token. If
// neither happens in time, the request is made all the same.
func (s *sharedStore) lock(ctx context.Context, l *search) (t *Token, unlock func()) {
	unlock = func() {}
	locker, ok := s.store.(Locker)
	if !ok {
		return nil, unlock
	}
	name := s.keys()[0].Name(append(l.parts, "the lock")...) // with a space: no scope is named so
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		release, err := s.tryLock(ctx, locker, l.key, name)
		if err != nil {
			return nil, unlock
		}
		held := release != nil
		if !held {
			release = unlock
		}
		orElse(release, func() { t = s.load(ctx, l) }) // a hook may be told of an entry
		if t != nil {
			release()
			return t, unlock
		}
		if held {
			return nil, release
		}
		if !workers.Sleep(ctx, lockPoll) {
			return nil, unlock
		}
	}
}

// tryLock tries once to take a lock, and returns how to release it, or nil if
// somebody else has it.
func (s *sharedStore) tryLock(
	ctx context.Context, locker Locker, k cache.Key, name string,
) (release func(), err error) {
	taken := make(chan func(context.Context) error, 1)
	err = s.callStore(ctx, k, func(ctx context.Context) error {
		release, err := locker.TryLock(ctx, name, lockLife)
		if release != nil && ctx.Err() != nil {
			return release(context.WithoutCancel(ctx)) // nobody waits for it any more
		}
		taken <- release
		return err
	})
	if err != nil {
		return nil, err
	}
	free := <-taken
	if free == nil {
		return nil, nil
	}
	// Also while the store is left alone: another process waits for the lock.
	return func() { _ = s.callNow(context.WithoutCancel(ctx), k, free) }, nil
}

// errStoreDown is for our own code: nobody is told of a call that isn't made.
var errStoreDown = errors.New("the store is left alone for a moment after a failure")

// callStore runs one call of the user's store, unless that has failed lately.
func (s *sharedStore) callStore(ctx context.Context, k cache.Key, call func(context.Context) error) error {
	if int64(s.clock.Mono()) < s.downUntil.Load() {
		return errStoreDown
	}
	return s.callNow(ctx, k, call)
}

// callNow runs one call of the user's store within its time, whatever that
// does: it may hang, panic, or be down. A miss is no failure, nor is the end of
// the caller's own time.
func (s *sharedStore) callNow(whole context.Context, k cache.Key, call func(context.Context) error) error {
	select {
	case s.calls <- struct{}{}:
	default:
		return errStoreDown // full of calls that don't return
	}
	ctx, cancel := context.WithTimeout(whole, storeLimit)
	defer cancel()
	done := make(chan error, 1)
	s.work.Go(partStore, func() { // within a flight, so never after Close has waited
		defer func() { <-s.calls }()
		err := errors.New("it ended its goroutine")
		defer func() {
			if recover() != nil {
				err = errors.New("it panicked")
			}
			done <- err
		}()
		err = call(ctx)
	})
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("no answer within %v: %w", storeLimit, context.Cause(ctx))
	}
	if err != nil && !errors.Is(err, ErrStoreMiss) && whole.Err() == nil {
		s.downUntil.Store(int64(s.clock.Mono() + storePause))
		s.storeFailed(whole, k, err)
	}
	return err
}

// storeFailed tells the hooks.
func (s *sharedStore) storeFailed(ctx context.Context, k cache.Key, err error) {
	e := eventAbout(&k)
	e.Err = public(fmt.Errorf("store: %w", redact.Error(err)))
	emitIn(ctx, s.failed, e)
}
