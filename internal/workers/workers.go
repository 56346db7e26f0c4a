// Package workers keeps the goroutines of one client. It ends them when the client
// is closed, waits until they have ended, and names the part of the program in
// which one hangs that doesn't end. It never knows what they do: the names of the
// parts come from its callers.
package workers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// closeLimit is how long Wait waits for tasks that ignore their context.
const closeLimit = 10 * time.Second

// MaxAbandoned is how many abandoned tasks a group is meant to have. Code that begins
// tasks which may be abandoned begins none beyond it.
const MaxAbandoned = 64

// Group is the work of one client. Make one with [New].
type Group struct {
	ctx     context.Context
	cancel  context.CancelFunc
	closed  atomic.Bool
	running sync.WaitGroup

	mu        sync.Mutex // guards the rest, and Begin against Close
	tasks     map[*Task]struct{}
	abandoned int
}

// New returns a group without tasks.
func New() *Group {
	g := &Group{tasks: make(map[*Task]struct{})}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Context ends when the group is closed.
func (g *Group) Context() context.Context { return g.ctx }

// Closed reports whether Close was called.
func (g *Group) Closed() bool { return g.closed.Load() }

// Begin admits a task, for which Wait waits until its End, and returns a context
// that carries it. The task is nil if the group is closed.
func (g *Group) Begin(ctx context.Context) (context.Context, *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return ctx, nil
	}
	t := &Task{group: g, outer: taskOf(ctx)}
	g.add(t)
	return context.WithValue(ctx, taskKey{}, t), t
}

// Go runs f as a task that is in the given part of the program. It must be called
// before Close, or from a task.
func (g *Group) Go(part string, f func()) {
	t := &Task{group: g}
	t.part.Store(&part)
	g.mu.Lock()
	g.add(t)
	g.mu.Unlock()
	go func() {
		defer t.End()
		f()
	}()
}

// add admits a task. The caller holds g.mu.
func (g *Group) add(t *Task) {
	g.running.Add(1)
	g.tasks[t] = struct{}{}
}

// Close ends the context, and reports whether this call was the first.
func (g *Group) Close() (first bool) {
	g.mu.Lock()
	first = !g.closed.Swap(true)
	g.mu.Unlock()
	g.cancel()
	return first
}

// Wait waits until all tasks have ended. After 10 s it returns an error that names
// the parts of the program in which the remaining ones hang.
func (g *Group) Wait() error {
	done := make(chan struct{})
	go func() { g.running.Wait(); close(done) }()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-limit.C:
		return fmt.Errorf("%s did not return within %v", g.parts(func(*Task) bool { return true }), closeLimit)
	}
}

// Abandoned returns how many tasks were abandoned and still run, and names the
// parts of the program in which they are.
func (g *Group) Abandoned() (n int, parts string) {
	g.mu.Lock()
	n = g.abandoned
	g.mu.Unlock()
	if n == 0 {
		return 0, ""
	}
	return n, g.parts(func(t *Task) bool { return t.abandoned })
}

// parts names the parts in which some of the tasks are.
func (g *Group) parts(of func(*Task) bool) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for t := range g.tasks {
		if name := t.Part(); of(t) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// Task is one goroutine of a group.
type Task struct {
	group     *Group
	outer     *Task // of the context that it was begun with
	part      atomic.Pointer[string]
	abandoned bool // guarded by group.mu
}

// unnamed is the part of a task that has entered none.
const unnamed = "the client"

// Part names the part of the program that the task has entered last and not left.
func (t *Task) Part() string {
	if p := t.part.Load(); p != nil {
		return *p
	}
	return unnamed
}

// Abandon notes that no caller waits for the task any more, though it still runs. After
// its End it does nothing.
func (t *Task) Abandon() {
	t.group.mu.Lock()
	defer t.group.mu.Unlock()
	if _, runs := t.group.tasks[t]; runs && !t.abandoned {
		t.abandoned = true
		t.group.abandoned++
	}
}

// End ends the task.
func (t *Task) End() {
	t.group.mu.Lock()
	if delete(t.group.tasks, t); t.abandoned {
		t.group.abandoned--
	}
	t.group.mu.Unlock()
	t.group.running.Done()
}

type taskKey struct{}

func taskOf(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

// Within reports whether a context is that of t, or of a task that t has begun.
func (t *Task) Within(ctx context.Context) bool {
	for at := taskOf(ctx); at != nil; at = at.outer {
		if at == t {
			return true
		}
	}
	return false
}

// Enter notes that the task of a context, if it has one, calls a part of the
// program, until leave is called. Don't defer leave: after a panic, the part that
// panicked is to be known.
func Enter(ctx context.Context, part string) (leave func()) {
	t := taskOf(ctx)
	if t == nil {
		return func() {}
	}
	before := t.part.Swap(&part)
	return func() { t.part.Store(before) }
}

// Sleep waits, and reports whether it waited to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
