package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
)

// maxAttempts is how often a test is played until no store was late.
const maxAttempts = 20

// attempt is a test as it is played once. A store that doesn't answer a client within a
// second is left alone for a while, as it should be, and the client asks for itself. Redis on
// a machine that is too busy may be such a store, so an attempt that fails after that is
// played again.
type attempt struct {
	*testing.T

	mu       sync.Mutex
	mistakes []string
	cleanups []func()
	late     bool // a store was
}

// each plays a test on every server program that is installed.
func each(t *testing.T, play func(t *attempt, program string)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, program string) {
		calmly(t, func(t *attempt) { play(t, program) })
	})
}

// calmly plays a test until it succeeds, or fails though no store was late.
func calmly(t *testing.T, play func(t *attempt)) {
	t.Helper()
	for try := 1; ; try++ {
		a := &attempt{T: t}
		a.run(play)
		if len(a.mistakes) == 0 {
			return
		}
		if a.late && try < maxAttempts {
			t.Logf("a store was late, once more: %s", a.mistakes[0])
			continue
		}
		for _, text := range a.mistakes {
			t.Error(text)
		}
		return
	}
}

// run plays the test in a goroutine of its own, which FailNow ends.
func (a *attempt) run(play func(t *attempt)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer a.cleanUp()
		play(a)
	}()
	<-ended
}

func (a *attempt) cleanUp() {
	for _, f := range slices.Backward(a.cleanups) {
		f()
	}
}

// noteFailure notes what a client said of its store. A connection has a time of its own, which
// may be over a moment before the context's.
func (a *attempt) noteFailure(err error) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		a.noteLate()
	}
}

func (a *attempt) noteLate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.late = true
}

func (a *attempt) Errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mistakes = append(a.mistakes, fmt.Sprintf(format, args...))
}

func (a *attempt) Error(args ...any) { a.Errorf("%s", fmt.Sprint(args...)) }

// FailNow ends the attempt.
func (a *attempt) FailNow() { runtime.Goexit() }

func (a *attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	a.FailNow()
}

func (a *attempt) Fatal(args ...any) { a.Fatalf("%s", fmt.Sprint(args...)) }

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}
