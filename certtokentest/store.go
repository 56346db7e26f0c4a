package certtokentest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
)

// storeTTL is the life of entries that are to end in a test: a second, since
// some stores count in whole ones.
const storeTTL = time.Second

// storeTestLimit ends the calls of a store that hangs. A busy machine needs far less.
const storeTestLimit = 3 * time.Minute

// TestStore checks that a [certtoken.Store] keeps the contract, and where it is
// a [certtoken.Locker], that one too. newStore returns a store that works; keys
// are fresh in every run, so it may be one that others use. It takes some
// seconds, as it waits for entries to end.
func TestStore(t *testing.T, newStore func(t *testing.T) certtoken.Store) {
	for _, c := range []struct {
		name string
		test func(*storeTest)
	}{
		{"a miss", (*storeTest).miss},
		{"a value", (*storeTest).value},
		{"large and binary values", (*storeTest).largeValues},
		{"the end of a value", (*storeTest).end},
		{"the last value counts", (*storeTest).overwrite},
		{"delete", (*storeTest).delete},
		{"values are copies", (*storeTest).copies},
		{"a context that is over", (*storeTest).context},
		{"many goroutines", (*storeTest).concurrency},
		{"lock", (*storeTest).lock},
		{"the end of a lock", (*storeTest).lockEnds},
		{"one of many takes the lock", (*storeTest).lockRace},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), storeTestLimit)
			defer cancel()
			c.test(&storeTest{T: t, ctx: ctx, store: newStore(t), prefix: "certtokentest-" + ids.UUID() + "-"})
		})
	}
}

type storeTest struct {
	*testing.T
	ctx    context.Context
	store  certtoken.Store
	prefix string
}

func (t *storeTest) key(name string) string { return t.prefix + name }

func (t *storeTest) set(name string, value []byte, ttl time.Duration) {
	t.Helper()
	if err := t.store.Set(t.ctx, t.key(name), value, ttl); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func (t *storeTest) want(name string, value []byte) {
	t.Helper()
	got, err := t.store.Get(t.ctx, t.key(name))
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !bytes.Equal(got, value) {
		t.Fatalf("Get returned other bytes (%d) than were set (%d): a store copies values in Set and in Get",
			len(got), len(value))
	}
}

func (t *storeTest) wantMiss(name string) {
	t.Helper()
	got, err := t.store.Get(t.ctx, t.key(name))
	if !errors.Is(err, certtoken.ErrStoreMiss) {
		t.Fatalf(
			"Get of what isn't there returned %d bytes and error %v, want one that wraps ErrStoreMiss",
			len(got),
			err,
		)
	}
}

func (t *storeTest) miss() { t.wantMiss("none") }

func (t *storeTest) value() {
	t.set("a", []byte("value of a"), time.Minute)
	t.set("b", []byte("value of b"), time.Minute)
	t.want("a", []byte("value of a"))
	t.want("b", []byte("value of b"))
}

func (t *storeTest) largeValues() {
	large := bytes.Repeat([]byte{0, 1, 0xff, '\r', '\n', '"'}, 32<<10)
	t.set("large", large, time.Minute)
	t.want("large", large)
	t.set("binary", []byte{0, 0xff, 0xfe, 0}, time.Minute)
	t.want("binary", []byte{0, 0xff, 0xfe, 0})
}

func (t *storeTest) end() {
	t.setShort()
	t.eventually("an entry outlives its ttl", func() bool {
		_, err := t.store.Get(t.ctx, t.key("short"))
		return errors.Is(err, certtoken.ErrStoreMiss)
	})
}

// setShort sets an entry that ends soon, and sees it. Where the machine stood still for longer than
// that, it is done again.
func (t *storeTest) setShort() {
	t.Helper()
	for {
		began := time.Now()
		t.set("short", []byte("x"), storeTTL)
		got, err := t.store.Get(t.ctx, t.key("short"))
		switch {
		case err == nil && string(got) == "x":
			return
		case !errors.Is(err, certtoken.ErrStoreMiss) || time.Since(began) < storeTTL:
			t.Fatalf("Get of an entry whose ttl isn't over returned %d bytes and error %v", len(got), err)
		}
	}
}

// eventually waits for what a ttl brings about.
func (t *storeTest) eventually(what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(promptly); !done(); {
		if time.Now().After(limit) {
			t.Fatal(what)
		}
		time.Sleep(storeTTL / 20)
	}
}

func (t *storeTest) overwrite() {
	t.set("a", []byte("first"), storeTTL)
	t.set("a", []byte("second"), time.Minute)
	time.Sleep(2 * storeTTL)
	t.want("a", []byte("second"))
}

func (t *storeTest) delete() {
	t.set("a", []byte("x"), time.Minute)
	for range 2 { // deleting what isn't there is no error
		if err := t.store.Delete(t.ctx, t.key("a")); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		t.wantMiss("a")
	}
}

func (t *storeTest) copies() {
	value := []byte("value")
	t.set("a", value, time.Minute)
	value[0] = 'X'
	t.want("a", []byte("value"))
	got, err := t.store.Get(t.ctx, t.key("a"))
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	got[0] = 'X'
	t.want("a", []byte("value"))
}

func (t *storeTest) context() {
	t.set("a", []byte("x"), time.Minute)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = t.store.Get(ctx, t.key("a"))
		_ = t.store.Set(ctx, t.key("b"), []byte("x"), time.Minute)
		_ = t.store.Delete(ctx, t.key("c"))
	}()
	select {
	case <-done:
	case <-time.After(promptly):
		t.Fatal("calls with a context that is over don't return")
	}
	t.want("a", []byte("x"))
}

func (t *storeTest) concurrency() {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				name, value := "k"+strconv.Itoa(i%4), []byte(fmt.Sprint(g, i))
				if err := t.store.Set(t.ctx, t.key(name), value, time.Minute); err != nil {
					t.Errorf("Set: %v", err)
				}
				if _, err := t.store.Get(t.ctx, t.key(name)); err != nil {
					t.Errorf("Get: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// locker skips where the store has no locks.
func (t *storeTest) locker() certtoken.Locker {
	locker, ok := t.store.(certtoken.Locker)
	if !ok {
		t.Skip("the store is no Locker, which is optional")
	}
	return locker
}

// tryLock returns nil where somebody else has the lock.
func (t *storeTest) tryLock(locker certtoken.Locker, name string, ttl time.Duration) func(context.Context) error {
	t.Helper()
	unlock, err := locker.TryLock(t.ctx, t.key(name), ttl)
	if err != nil {
		t.Fatalf("TryLock: %v", err)
	}
	return unlock
}

func (t *storeTest) lock() {
	locker := t.locker()
	unlock := t.tryLock(locker, "l", time.Minute)
	if unlock == nil {
		t.Fatal("a free lock can't be taken")
	}
	if t.tryLock(locker, "l", time.Minute) != nil {
		t.Fatal("a lock was taken twice")
	}
	other := t.tryLock(locker, "m", time.Minute)
	if other == nil {
		t.Fatal("another key's lock isn't free")
	}
	for _, release := range []func(context.Context) error{unlock, other} {
		if err := release(t.ctx); err != nil {
			t.Fatalf("unlock: %v", err)
		}
	}
	again := t.tryLock(locker, "l", time.Minute)
	if again == nil {
		t.Fatal("a lock that was released can't be taken")
	}
	_ = again(t.ctx)
}

func (t *storeTest) lockEnds() {
	locker := t.locker()
	late := t.tryLock(locker, "l", storeTTL)
	if late == nil {
		t.Fatal("a free lock can't be taken")
	}
	var second func(context.Context) error
	t.eventually("a lock outlives its ttl", func() bool {
		second = t.tryLock(locker, "l", time.Minute)
		return second != nil
	})
	_ = late(t.ctx) // whose time was over
	if t.tryLock(locker, "l", time.Minute) != nil {
		t.Fatal("a late release released somebody else's lock")
	}
	_ = second(t.ctx)
}

func (t *storeTest) lockRace() {
	locker := t.locker()
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			unlock, err := locker.TryLock(t.ctx, t.key("l"), time.Minute)
			if err != nil {
				t.Errorf("TryLock: %v", err)
			}
			if unlock != nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Fatalf("%d took the lock at once, want 1", n)
	}
}
