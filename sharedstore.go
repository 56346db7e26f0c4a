package certtoken

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	storePause = 5 * time.Second // after a failed call, in which no call is made
	lockLife   = 12 * time.Second
	lockWait   = 10 * time.Second      // after that the request is made without the lock
	lockPoll   = 50 * time.Millisecond // between two tries to take the lock
)

// sharedStore keeps tokens in a user's Store, under secret names and sealed. A failure of
// the Store is no failure of its caller: it is as if the Store had no token.
type sharedStore struct {
	store Store
	keys  func() []seal.Key // the first seals, each opens; a function, so that no dump shows them

	clientID     string
	capabilities []string
	clock        *clock.Clock
	server       *clock.Offset // the endpoint's clock
	work         *workers.Group
	failed       func(Event)    // the hook, or nil
	bindings     *mtls.Bindings // nil: no certificate is presented in TLS

	downUntil atomic.Int64  // clock reading until which no call is made
	calls     chan struct{} // has an element for each call that is under way
}

// maxStoreCalls bounds the goroutines that wait for a store which ignores its context.
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

// entryParts are the texts that tell one token from another. They make the entry's name,
// into which each part goes behind its length. No two different requests have the same
// parts: each but the scopes has its place, and is a text that nothing else gives. The
// endpoint names the tenant.
func (s *sharedStore) entryParts(authority Authority, k cache.Key, b *mtls.Binding) []string {
	bound := ""
	if b != nil {
		sum := b.Sum()
		bound = string(sum[:])
	}
	able := fmt.Sprintf("%q", slices.Sorted(slices.Values(s.capabilities)))
	parts := []string{
		authority.endpoint(), s.clientID, authority.params.Encode(), bound, able, k.User, k.Agent, k.Parameters.Encode(),
	}
	return append(parts, slices.Sorted(slices.Values(k.Scopes))...)
}

// fetch gets a token from the store. Otherwise it gets one from the origin, while other
// processes wait for it. That token is stored after the callers have it, so that they
// don't wait for a slow store. b is the binding of the certificate in use, or nil.
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
	runOrUndo(unlock, func() { out.Token, out.Err = origin() })
	out.After = func(kept bool) {
		defer unlock()
		if t := out.Token; kept && t != nil && t.secret().user().binding == b {
			s.save(context.WithoutCancel(ctx), k, parts, t)
		}
	}
	return out
}

// runOrUndo calls f. If f panics or ends the goroutine, as a user's source, signer or hook
// can do, it calls undo.
func runOrUndo(undo, f func()) {
	returned := false
	defer func() {
		if !returned {
			undo()
		}
	}()
	f()
	returned = true
}

// valid reports whether t is valid now and for a further time.
func (s *sharedStore) valid(t *Token, further time.Duration) bool {
	return t != nil && further < t.life.End-s.clock.Age(&t.life) && s.presentable(t)
}

// presentable reports whether a token is bound to the certificate in use, or to none.
func (s *sharedStore) presentable(t *Token) bool {
	return s.bindings == nil || t.isPresentable(s.bindings)
}

// search is one flight's search for a token in the store.
type search struct {
	key      cache.Key
	parts    []string
	binding  *mtls.Binding
	before   *Token // the cache's token; only a newer one is of use
	reported bool   // a hook was called for an unreadable entry; the search may read it many times
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
			if !l.reported {
				l.reported = true
				s.storeFailed(ctx, l.key, err)
			}
			continue
		}
		t := st.token(l.key.Scopes, s.clock.Look(), s.server.Ahead(), l.binding)
		// A token that is due for renewal is taken if the cache has no valid one.
		useful := t != nil && (s.clock.Age(&t.life) < t.life.Renew || !s.valid(l.before, 0))
		if useful && (l.before == nil || t.expires > l.before.expires || !s.presentable(l.before)) {
			if s.bindings != nil { // of no binding it does nothing
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

// lock takes the key's lock, or waits until its holder has stored a token. If neither
// happens in time, the request is made without the lock.
func (s *sharedStore) lock(ctx context.Context, l *search) (t *Token, unlock func()) {
	unlock = func() {}
	locker, ok := s.store.(Locker)
	if !ok {
		return nil, unlock
	}
	name := s.keys()[0].Name(append(l.parts, "the lock")...) // no scope has a space
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
		runOrUndo(release, func() { t = s.load(ctx, l) }) // a hook may be told of an entry
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
		release, err := takeLock(ctx, locker, name)
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
	// This call is made even after a failure: another process waits for the lock.
	return func() { _ = s.callNow(context.WithoutCancel(ctx), k, free) }, nil
}

// takeLock tries once to take a lock. One that was taken when the caller had left already
// is given back, and the end of the caller's time is the error.
func takeLock(ctx context.Context, locker Locker, name string) (release func(context.Context) error, err error) {
	release, err = locker.TryLock(ctx, name, lockLife)
	if release != nil && ctx.Err() != nil {
		_ = release(context.WithoutCancel(ctx))
		return nil, context.Cause(ctx)
	}
	return release, err
}

// errStoreDown says that a call wasn't made. No hook is called for it.
var errStoreDown = errors.New("the store is left alone for a moment after a failure")

// callStore runs one call of the user's store, unless the store has just failed.
func (s *sharedStore) callStore(ctx context.Context, k cache.Key, call func(context.Context) error) error {
	if int64(s.clock.Mono()) < s.downUntil.Load() {
		return errStoreDown
	}
	return s.callNow(ctx, k, call)
}

// callNow runs one call of the user's store within a time limit. The store may hang,
// panic, or be down. A miss is no failure, and neither is the end of the caller's time.
func (s *sharedStore) callNow(whole context.Context, k cache.Key, call func(context.Context) error) error {
	if !s.admit(whole) {
		return errStoreDown
	}
	ctx, cancel := context.WithTimeout(whole, storeLimit)
	defer cancel()
	done := make(chan storeAnswer, 1)
	s.work.Go(partStore, func() { // a flight runs, so Close still waits for new goroutines
		defer func() { <-s.calls }()
		answer := storeAnswer{err: errors.New("it ended its goroutine")}
		defer func() {
			if recover() != nil {
				answer = storeAnswer{err: errors.New("it panicked")}
			}
			done <- answer
		}()
		err := call(ctx)
		answer = storeAnswer{err: err, isMiss: errors.Is(err, ErrStoreMiss)} // a user's error can panic here
	})
	var answer storeAnswer
	select {
	case answer = <-done:
	case <-ctx.Done():
		answer.err = fmt.Errorf("no answer within %v: %w", storeLimit, context.Cause(ctx))
	}
	if answer.err != nil && !answer.isMiss && whole.Err() == nil {
		s.downUntil.Store(int64(s.clock.Mono() + storePause))
		s.storeFailed(whole, k, answer.err)
	}
	return answer.err
}

// storeAnswer is what one call of a store came to.
type storeAnswer struct {
	err    error
	isMiss bool // the error says that the store doesn't have it
}

// admit waits until one call more may be under way, for as long as a call may take. In
// a rush, calls wait for each other; where it takes longer, the store hangs.
func (s *sharedStore) admit(ctx context.Context) bool {
	select {
	case s.calls <- struct{}{}:
		return true
	default:
	}
	limit := time.NewTimer(storeLimit)
	defer limit.Stop()
	select {
	case s.calls <- struct{}{}:
		return true
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

// storeFailed calls the hook for a failure of the store.
func (s *sharedStore) storeFailed(ctx context.Context, k cache.Key, err error) {
	e := eventAbout(&k)
	e.Err = public(fmt.Errorf("store: %w", redact.Error(err)))
	emitIn(ctx, s.failed, e)
}
