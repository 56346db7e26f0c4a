package certtoken

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	minStoreKey   = 32
	maxStoreEntry = 2 * maxBody
	storeLimit    = time.Second     // for one call of a Store
	storePause    = 5 * time.Second // without calls, after one that failed
	lockLife      = 12 * time.Second
	lockWait      = 10 * time.Second // then the request is made without the lock
	lockPoll      = 50 * time.Millisecond
	storeVersion  = 1
)

// sharedStore is a Store with our names and seals. It never fails its caller:
// while the store is broken, it has nothing.
type sharedStore struct {
	store Store
	keys  func() []storeKey // the first seals, all open; a function, so that no dump walks into them

	downUntil atomic.Int64  // clock reading until which the store is left alone
	calls     chan struct{} // one token for each call that may be under way
}

// maxStoreCalls bounds the goroutines that a store which ignores its context
// can hold.
const maxStoreCalls = 64

// storeKey is what is derived from one of the user's secrets.
type storeKey struct {
	name []byte // HMAC of entries' names
	seal cipher.AEAD
}

func newSharedStore(store Store, secrets [][]byte) (*sharedStore, error) {
	var keys []storeKey
	for _, secret := range secrets {
		k, err := newStoreKey(secret)
		if err != nil {
			return nil, fmt.Errorf("certtoken: WithStore: %w", err)
		}
		keys = append(keys, k)
	}
	return &sharedStore{
		store: store,
		keys:  func() []storeKey { return keys },
		calls: make(chan struct{}, maxStoreCalls),
	}, nil
}

func newStoreKey(secret []byte) (storeKey, error) {
	name, err := hkdf.Key(sha256.New, secret, nil, "certtoken store: names, 1", sha256.Size)
	if err != nil {
		return storeKey{}, err
	}
	seal, err := hkdf.Key(sha256.New, secret, nil, "certtoken store: seals, 1", 32)
	if err != nil {
		return storeKey{}, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return storeKey{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return storeKey{}, err
	}
	return storeKey{name: name, seal: aead}, nil
}

// entryName names what a token was asked for, so that who reads the store
// learns nothing from it.
func (k storeKey) entryName(parts ...string) string {
	mac := hmac.New(sha256.New, k.name)
	for _, part := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return "certtoken-" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// storedToken is an entry before it is sealed.
type storedToken struct {
	Access  string   `json:"access_token"`
	Type    string   `json:"token_type"`
	Scopes  []string `json:"scopes,omitempty"`
	Extra   string   `json:"extra,omitempty"`
	Refresh string   `json:"refresh_token,omitempty"`
	ID      string   `json:"id_token,omitempty"`
	Granted int64    `json:"granted"` // Unix nanoseconds
	Renew   int64    `json:"renew"`
	Expires int64    `json:"expires"`
}

func newStoredToken(t *Token) storedToken {
	s := t.secret()
	return storedToken{
		Access: s.access, Type: t.typ, Scopes: t.scopes, Extra: s.extra, Refresh: s.user().refresh, ID: s.user().id,
		Granted: t.granted().UnixNano(), Renew: t.renew, Expires: t.expires,
	}
}

// token is the entry as a token of this process, or nil if it is over or makes
// no sense.
func (st storedToken) token(asked []string, at reading, b *binding) *Token {
	granted, expires := time.Unix(0, st.Granted), time.Unix(0, st.Expires)
	lifetime := expires.Sub(granted)
	if !isVisibleASCII(st.Access+st.Type) || st.Access == "" || st.Type == "" || lifetime <= 0 || lifetime > maxTokenLife || granted.After(at.time.Add(maxBackdate)) {
		return nil
	}
	if !granted.Add(usable(lifetime)).After(at.time) {
		return nil
	}
	g := answer{access: st.Access, typ: st.Type, scopes: st.Scopes, lifetime: lifetime, extra: st.Extra, refresh: st.Refresh, id: st.ID, binding: b}
	// The answer lies back by so much on this process's clocks too.
	// If it was granted in what this clock takes for the future, it starts now.
	past := reading{mono: at.mono - max(0, at.time.Sub(granted)), ahead: at.ahead, time: granted}
	t := newToken(g, asked, past)
	t.renew = st.Renew
	t.life.renew = min(past.mono+time.Duration(st.Renew-st.Granted), t.life.end)
	return t
}

func (k storeKey) sealEntry(name string, st storedToken) ([]byte, error) {
	plain, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return k.seal.Seal([]byte{storeVersion}, nil, plain, []byte(name)), nil
}

// openEntry refuses what wasn't sealed by the same key for the same name.
func (k storeKey) openEntry(name string, sealed []byte) (storedToken, error) {
	var st storedToken
	if len(sealed) > maxStoreEntry {
		return st, errors.New("an entry is too large")
	}
	if len(sealed) == 0 || sealed[0] != storeVersion {
		return st, errors.New("an entry has an unknown version")
	}
	plain, err := k.seal.Open(nil, nil, sealed[1:], []byte(name))
	if err != nil {
		return st, errors.New("an entry doesn't open: it was sealed by another key or changed")
	}
	if err := json.Unmarshal(plain, &st); err != nil {
		return st, errors.New("an entry can't be read")
	}
	return st, nil
}

// entryParts is what makes one token different from another.
func (c *Client) entryParts(authority Authority, k key, b *binding) []string {
	scopes := slices.Sorted(slices.Values(k.scopes))
	parts := []string{authority.endpoint(), c.id}
	if len(authority.params) > 0 { // each with a space, which no scope has
		parts = append(parts, "with "+authority.params.Encode())
	}
	if b != nil {
		parts = append(parts, "bound to "+string(b.sum[:]))
	}
	if capabilities := c.cfg.capabilities; len(capabilities) > 0 {
		parts = append(parts, "able to "+strings.Join(slices.Sorted(slices.Values(capabilities)), " "))
	}
	if k.user != "" {
		parts = append(parts, "on behalf of "+k.user)
	}
	return append(parts, scopes...)
}

// entryBinding is that of the certificate in use, where tokens are bound: each
// certificate has its own in the store.
func (c *Client) entryBinding(ctx context.Context) (*binding, error) {
	source, ok := c.credential.(*certCredential)
	if !ok || !c.presents {
		return nil, nil
	}
	cert, err := source.certificate(ctx)
	if err != nil {
		return nil, err
	}
	return c.bind(cert)
}

// fetchShared gets a token from the store, or else from the endpoint while the
// other processes wait for it. It is stored when the callers have it, so that a
// slow store costs them nothing.
func (c *Client) fetchShared(ctx context.Context, authority Authority, k key, req ask, before *Token) (out fetched) {
	p, err := c.entryBinding(ctx)
	if err != nil {
		return fetched{err: err}
	}
	parts := c.entryParts(authority, k, p)
	unlock := func() {}
	if req.cacheable() {
		look := &look{key: k, parts: parts, binding: p, before: before}
		if t := c.load(ctx, look); t != nil && c.valid(t, req.MinValidity) {
			return fetched{token: t, shared: true}
		}
		var t *Token
		t, unlock = c.lock(ctx, look)
		if t != nil && c.valid(t, req.MinValidity) {
			return fetched{token: t, shared: true, settle: unlock}
		}
	}
	if req.insteadOf != nil && req.Claims == "" {
		c.unsave(ctx, k, parts, req.insteadOf)
	}
	ended := true // the user's source, signer or hook its goroutine
	defer func() {
		if ended {
			unlock()
		}
	}()
	out.settle = unlock
	out.token, out.err = c.request(ctx, authority, k, req)
	ended = false
	if t := out.token; t != nil && t.secret().user().binding == p {
		ctx := context.WithoutCancel(ctx)
		out.settle = func() { defer unlock(); c.save(ctx, k, parts, t) }
	}
	return out
}

// look is one flight's search for a token in the store.
type look struct {
	key     key
	parts   []string
	binding *binding
	before  *Token // that the slot has; only a newer one is of use
	told    bool   // that an entry can't be read: who waits for a lock looks many times
}

// load looks for the token once.
func (c *Client) load(ctx context.Context, l *look) *Token {
	for _, sk := range c.shared.keys() {
		name := sk.entryName(l.parts...)
		var sealed []byte
		err := c.callStore(ctx, l.key, func(ctx context.Context) (err error) {
			sealed, err = c.shared.store.Get(ctx, name)
			return err
		})
		if err != nil {
			continue
		}
		st, err := sk.openEntry(name, sealed)
		if err != nil {
			if !l.told {
				l.told = true
				c.storeFailed(l.key, err)
			}
			continue
		}
		t := st.token(l.key.scopes, c.clock.look(), l.binding)
		// One that is due will do for a process that has nothing else.
		useful := t != nil && (c.now(t) < t.life.renew || !c.valid(l.before, 0))
		if useful && (l.before == nil || t.expires > l.before.expires || !c.presentable(l.before)) {
			c.adopt(l.binding)
			return t
		}
	}
	return nil
}

// unsave takes a token that a resource refused out of the store.
func (c *Client) unsave(ctx context.Context, k key, parts []string, refused *Token) {
	for _, sk := range c.shared.keys() {
		name := sk.entryName(parts...)
		_ = c.callStore(ctx, k, func(ctx context.Context) error {
			sealed, err := c.shared.store.Get(ctx, name)
			if err != nil {
				return err
			}
			if st, err := sk.openEntry(name, sealed); err != nil || st.Access != refused.AccessToken() {
				return nil // another, which may be good
			}
			return c.shared.store.Delete(ctx, name)
		})
	}
}

func (c *Client) save(ctx context.Context, k key, parts []string, t *Token) {
	sk := c.shared.keys()[0]
	name := sk.entryName(parts...)
	sealed, err := sk.sealEntry(name, newStoredToken(t))
	if err != nil {
		c.storeFailed(k, err)
		return
	}
	_ = c.callStore(ctx, k, func(ctx context.Context) error {
		return c.shared.store.Set(ctx, name, sealed, t.life.end-t.life.granted)
	})
}

// lock takes the key's lock, or waits until its holder has stored a token. If
// neither happens in time, the request is made all the same.
func (c *Client) lock(ctx context.Context, l *look) (t *Token, unlock func()) {
	unlock = func() {}
	locker, ok := c.shared.store.(Locker)
	if !ok {
		return nil, unlock
	}
	name := c.shared.keys()[0].entryName(append(l.parts, "the lock")...) // with a space: no scope is named so
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		var release func(context.Context) error
		err := c.callStore(ctx, l.key, func(ctx context.Context) (err error) {
			release, err = locker.TryLock(ctx, name, lockLife)
			return err
		})
		if err != nil {
			return nil, unlock
		}
		if t := c.load(ctx, l); t != nil {
			if release != nil {
				c.release(l.key, release)
			}
			return t, unlock
		}
		if release != nil {
			return nil, func() { c.release(l.key, release) }
		}
		if !sleep(ctx, lockPoll) {
			return nil, unlock
		}
	}
}

// release gives a lock back, also when the flight's time is over.
func (c *Client) release(k key, release func(context.Context) error) {
	_ = c.callStore(context.Background(), k, release)
}

var errStoreDown = errors.New("certtoken: the store is left alone for a moment after a failure")

// callStore runs one call of the user's store within its time, whatever that
// does: it may hang, panic, or be down. A miss is no failure, nor is the end of
// the caller's own time.
func (c *Client) callStore(whole context.Context, k key, call func(context.Context) error) error {
	s := c.shared
	if int64(c.clock.mono()) < s.downUntil.Load() {
		return errStoreDown
	}
	select {
	case s.calls <- struct{}{}:
	default:
		return errStoreDown // full of calls that don't return
	}
	ctx, cancel := context.WithTimeout(whole, storeLimit)
	defer cancel()
	done := make(chan error, 1)
	c.work.Go(func() { // within a flight, so never after Close has waited
		defer func() { <-s.calls }()
		err := errors.New("certtoken: the store ended its goroutine")
		defer func() {
			if recover() != nil {
				err = errors.New("certtoken: the store panicked")
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
		s.downUntil.Store(int64(c.clock.mono() + storePause))
		c.storeFailed(k, err)
	}
	return err
}

func (c *Client) storeFailed(k key, err error) {
	emit(c.hooks.StoreFailed, Event{Tenant: k.tenant, Scopes: k.scopes, Err: fmt.Errorf("certtoken: store: %w", foreignError{err})})
}
