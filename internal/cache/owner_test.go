package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/queue"
	"github.com/certtoken/certtoken/internal/workers"
)

// token is what the tests cache.
type token struct {
	life clock.Span
	n    int // of the fetch that brought it, from 1
}

// owner is a fake owner whose tokens live for an hour and are renewed after 45
// minutes. It writes down what it is told.
type owner struct {
	clock *clock.Clock
	work  *workers.Group

	mu      sync.Mutex // guards the rest
	fetched int
	fetch   func(ctx context.Context, call *Call[token, string]) error // nil: it succeeds at once
	life    time.Duration
	verdict Verdict
	state   string // what Condition returns
	told    []string
	errs    []error // of RenewalFailed and Abandoned
	pauses  []time.Duration
}

// errOwner is what a fetch of the tests fails with.
var errOwner = errors.New("refused")

func (o *owner) Fetch(ctx context.Context, call *Call[token, string]) Fetched[token] {
	o.mu.Lock()
	o.fetched++
	n, fetch, life := o.fetched, o.fetch, o.life
	o.mu.Unlock()
	if fetch != nil {
		if err := fetch(ctx, call); err != nil {
			return Fetched[token]{Err: err}
		}
	}
	now := o.clock.Look()
	return Fetched[token]{Token: &token{n: n, life: clock.Span{
		Granted: now.Mono, Renew: now.Mono + life*3/4, End: now.Mono + life, Ahead: now.Ahead,
	}}}
}

func (o *owner) Life(t *token) *clock.Span { return &t.life }

func (o *owner) Judge(error, *Key) Verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdict
}

func (o *owner) Condition() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

func (o *owner) Recall(err error, left time.Duration) error { return &recalled{err, left} }

// recalled is an error that was remembered.
type recalled struct {
	error
	left time.Duration
}

func (o *owner) tell(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, what)
}

func (o *owner) Missed(*Key) { o.tell("missed") }

func (o *owner) RenewalFailed(_ *Key, _ *token, err error, pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told, o.errs, o.pauses = append(o.told, "renewal failed"), append(o.errs, err), append(o.pauses, pause)
}

func (o *owner) Abandoned(_ *Key, err *AbandonedError) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told, o.errs = append(o.told, "abandoned: "+err.Part), append(o.errs, err)
}

func (o *owner) Returned(_ *Key, part string, _ time.Duration) { o.tell("returned: " + part) }

func (o *owner) fetches() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fetched
}

// set changes the owner under its lock.
func (o *owner) set(change func(*owner)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// failWith has all fetches fail with an error; nil: succeed.
func (o *owner) failWith(err error) {
	o.set(func(o *owner) { o.fetch = func(context.Context, *Call[token, string]) error { return err } })
}

// heard is what the owner was told, without misses.
func (o *owner) heard() (told []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, what := range o.told {
		if what != "missed" {
			told = append(told, what)
		}
	}
	return told
}

type want = Want[token, string]

// inBubble runs a test with a cache in a bubble, where time is free.
func inBubble(
	t *testing.T, f func(t *testing.T, c *Cache[token, string], o *owner), change ...func(*Config[token, string]),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &owner{clock: clock.New(), work: workers.New(), life: time.Hour}
		cfg := Config[token, string]{
			Owner: o, Limit: 1000, FlightLimit: 30 * time.Second, Clock: o.clock, Work: o.work, Queue: queue.New(32),
			Pace: NewPace(16),
		}
		for _, change := range change {
			change(&cfg)
		}
		f(t, New(cfg), o)
		o.work.Close()
		assert.NoError(t, o.work.Wait())
	})
}

// result is what an asynchronous Acquire came to.
type result struct {
	token *token
	err   error
	took  time.Duration
}

// acquiring starts an Acquire and waits until it waits.
func acquiring(ctx context.Context, c *Cache[token, string], k Key, w want) <-chan result {
	out := make(chan result, 1)
	start := time.Now()
	go func() {
		t, err := c.Acquire(ctx, k, w)
		out <- result{t, err, time.Since(start)}
	}()
	synctest.Wait()
	return out
}
