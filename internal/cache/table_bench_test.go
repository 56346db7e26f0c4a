//go:build linux

package cache

import (
	"fmt"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/workers"
)

// threadTime is the processor's time that this thread has had: other programs on the
// machine don't count.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&now)), 0)
	return time.Duration(now.Nano())
}

// disturbances counts what isn't the program's: pages of memory that the system gave this
// thread, each at the price of a page that is cleared, on a virtual machine by its host
// too, and the times at which another program got the processor.
func disturbances(b *testing.B) int64 {
	const thisThread = 1 // RUSAGE_THREAD
	var usage syscall.Rusage
	if err := syscall.Getrusage(thisThread, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Minflt + usage.Majflt + usage.Nivcsw
}

// BenchmarkTableFilling makes a million slots, one after the other, and reports how long
// the slowest took: growth, eviction and expiry are in it, and with the collector what it
// has the program do for it. The slowest of those in which the system did nothing is what
// the table itself takes.
//
//	go test -run NONE -bench TableFilling -benchtime 1x ./internal/cache
func BenchmarkTableFilling(b *testing.B) {
	const slots = 1_000_000
	for _, c := range []struct {
		name  string
		limit int
		life  time.Duration // of a token, when a slot is made each second
	}{
		{"growth", slots, never},
		{"eviction", slots / 10, never},
		{"expiry", slots, slots / 10 * time.Second},
	} {
		for _, collected := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/collector=%v", c.name, collected), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				runtime.GC()
				if !collected {
					defer debug.SetGCPercent(debug.SetGCPercent(-1))
				}
				scopes := []string{"https://graph.microsoft.com/.default"}
				took := make([]time.Duration, 0, slots)
				var alone time.Duration
				for b.Loop() {
					took, alone = took[:0], 0
					t := newTestTable(c.limit)
					for i := range slots {
						k := Key{Tenant: fmt.Sprintf("33333333-3333-4333-8333-%012d", i), Scopes: scopes}
						now, end := time.Duration(i)*time.Second, never
						if c.life != never {
							end = now + c.life
						}
						token := tokenUntil(end)
						others, before := disturbances(b), threadTime()
						s := t.slot(&k, now)
						s.token.Store(token)
						t.settle(s, now)
						step := threadTime() - before
						if took = append(took, step); step > alone && disturbances(b) == others {
							alone = step
						}
					}
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[slots/2]), "median-ns")
				b.ReportMetric(float64(took[slots-slots/1000]), "p99.9-ns")
				b.ReportMetric(float64(took[slots-1]), "slowest-ns")
				b.ReportMetric(float64(alone), "slowest-alone-ns")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// mapKey is a key as it would be in a map of tokens that is written by hand.
type mapKey struct{ tenant, user, agent, scope, parameter string }

type mapToken struct {
	access  string
	expires time.Time
}

// BenchmarkHitsAmongMany compares a hit among very many tokens with an RWMutex map of the
// same keys and a look at time.Now, in short turns, by the thread's time on the processor.
// The fastest twentieth of the turns counts, so that what else the machine does has little
// effect on it.
//
//	go test -run NONE -bench HitsAmongMany -benchtime 1x ./internal/cache
func BenchmarkHitsAmongMany(b *testing.B) {
	scopes := []string{"https://graph.microsoft.com/.default"}
	id := func(i int) string { return fmt.Sprintf("33333333-3333-4333-8333-%012d", i) }
	for _, kind := range []struct {
		name string
		key  func(i int) Key
	}{
		{"scopes", func(i int) Key { return Key{Scopes: []string{"api://" + id(i) + "/.default"}} }},
		{"tenants", func(i int) Key { return Key{Tenant: id(i), Scopes: scopes} }},
		{"users", func(i int) Key { return Key{User: id(i)[4:], Scopes: scopes} }},
		{"agents", func(i int) Key { return Key{Tenant: id(0), Agent: id(i), Scopes: scopes} }},
		{"parameters", func(i int) Key { return Key{Scopes: scopes, Parameters: url.Values{"resource": {id(i)}}} }},
	} {
		for _, size := range []int{10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				c, m, asked := filledWith(kind.key, size)
				var mu sync.RWMutex
				spread := func(i int) int { return int(uint64(uint32(i)*0x9e3779b1) * uint64(size) >> 32) }
				const turn = 2_000
				ours, floor := new(fastest), new(fastest)
				for b.Loop() {
					for n := range 300 {
						ours.turn(func() {
							for i := range turn {
								p := &asked[spread(n*turn+i)]
								k := Key{Tenant: p.tenant, User: p.user, Agent: p.agent, Parameters: p.parameters,
									Scopes: []string{p.scope}}
								if c.Get(&k, "", 0) == nil {
									b.Fatal("a token is gone")
								}
							}
						})
						floor.turn(func() {
							for i := range turn {
								p := &asked[spread(n*turn+i+size/2)] // not what ours has just brought into the caches
								k := mapKey{p.tenant, p.user, p.agent, p.scope, p.parameters.Encode()}
								mu.RLock()
								t, ok := m[k]
								mu.RUnlock()
								if !ok || !time.Now().Before(t.expires) {
									b.Fatal("a token is gone")
								}
							}
						})
					}
				}
				b.ReportMetric(ours.typical()/turn, "ours-ns")
				b.ReportMetric(floor.typical()/turn, "map-ns")
				b.ReportMetric(ours.typical()/floor.typical(), "ours/map")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// fastest keeps how long turns took.
type fastest struct{ took []time.Duration }

func (f *fastest) turn(run func()) {
	before := threadTime()
	run()
	f.took = append(f.took, threadTime()-before)
}

// typical is what a turn takes that others leave alone: one in twenty is faster.
func (f *fastest) typical() float64 {
	slices.Sort(f.took)
	return float64(f.took[len(f.took)/20])
}

// asked is what a caller has: the same for both. With parameters a map needs a text made
// of them.
type asked struct {
	tenant, user, agent, scope string
	parameters                 url.Values
}

// filledWith has a cache and a map with a token for each of n keys, and what callers
// ask for.
func filledWith(key func(int) Key, n int) (*Cache[token, string], map[mapKey]mapToken, []asked) {
	o := &owner{clock: clock.New(), work: workers.New(), life: time.Hour}
	c := New(Config[token, string]{Owner: o, Limit: n, Clock: o.clock, Work: o.work, Pace: NewPace(1)})
	m := make(map[mapKey]mapToken)
	all := make([]asked, n)
	for i := range all {
		k := key(i)
		s := c.table.slot(&k, 0)
		c.put(s, &token{life: clock.Span{Renew: time.Hour, End: 2 * time.Hour}})
		all[i] = asked{k.Tenant, k.User, k.Agent, k.Scopes[0], k.Parameters}
		own := mapKey{k.Tenant, k.User, k.Agent, k.Scopes[0], k.Parameters.Encode()}
		for _, text := range []*string{&own.tenant, &own.user, &own.agent, &own.scope, &own.parameter} {
			*text = strings.Clone(*text)
		}
		m[own] = mapToken{strings.Repeat("x", 100), time.Now().Add(time.Hour)}
	}
	return c, m, all
}
