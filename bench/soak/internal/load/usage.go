package load

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// Usage is what a process has at one moment.
type Usage struct {
	Heap       uint64 // bytes that live
	Goroutines int
	Files      int // open descriptors; 0 where they can't be counted
}

// ReadUsage collects the garbage and looks at this process.
func ReadUsage() Usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(), Files: openFiles()}
}

// openFiles counts without the descriptor that the look at them takes.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries) - 1
}

func (u Usage) String() string {
	files := ""
	if u.Files > 0 {
		files = fmt.Sprintf(", %d files", u.Files)
	}
	return fmt.Sprintf("%.1f MB, %d goroutines%s", float64(u.Heap)/(1<<20), u.Goroutines, files)
}

// Settled is how long a run must be for growth to be told from a start: the
// first renewals come after seconds, and the first expired tokens later.
const Settled = 30 * time.Second

// What may come on top of the first third's most. Little is needed: it is
// compared with the last third's least.
const (
	heapSlack      = 4 << 20
	goroutineSlack = 8
	fileSlack      = 4
)

// Usages are readings of a run, in even distances, oldest first.
type Usages []Usage

// Third is the middle (the median of each figure) of the first, second or last
// third of the readings.
func (u Usages) Third(n int) Usage {
	part := u[len(u)*n/3 : max(len(u)*(n+1)/3, len(u)*n/3+1)]
	return Usage{
		Heap:       median(part, func(u Usage) uint64 { return u.Heap }),
		Goroutines: median(part, func(u Usage) int { return u.Goroutines }),
		Files:      median(part, func(u Usage) int { return u.Files }),
	}
}

// Grown tells what is never back, in the last third of the readings, to the most
// that it was in the first. What comes and goes is no growth: an answer of
// megabytes that is just being read, the calls that wait for a slow store.
func (u Usages) Grown() error {
	if len(u) < 3 {
		return errors.New("too few readings to tell whether something grew")
	}
	first, last := u[:len(u)/3], u[len(u)-len(u)/3:]
	heap := func(u Usage) uint64 { return u.Heap }
	goroutines := func(u Usage) int { return u.Goroutines }
	files := func(u Usage) int { return u.Files }
	base := most(first, heap)
	return errors.Join(
		grown("the heap", base+base/10+heapSlack, base, least(last, heap)),
		grown(
			"the goroutines",
			most(first, goroutines)+goroutineSlack,
			most(first, goroutines),
			least(last, goroutines),
		),
		grown("the open files", most(first, files)+fileSlack, most(first, files), least(last, files)),
	)
}

func grown[T cmp.Ordered](what string, limit, from, to T) error {
	if to <= limit {
		return nil
	}
	return fmt.Errorf("%s grew from at most %v in the first third to at least %v in the last", what, from, to)
}

func sorted[T cmp.Ordered](of []Usage, value func(Usage) T) []T {
	var list []T
	for _, u := range of {
		list = append(list, value(u))
	}
	slices.Sort(list)
	return list
}

func most[T cmp.Ordered](of []Usage, value func(Usage) T) T  { return sorted(of, value)[len(of)-1] }
func least[T cmp.Ordered](of []Usage, value func(Usage) T) T { return sorted(of, value)[0] }
func median[T cmp.Ordered](of []Usage, value func(Usage) T) T {
	return sorted(of, value)[len(of)/2]
}

// downLimit is how long goroutines may take to end on a busy machine.
const downLimit = 30 * time.Second

// GoroutinesDown waits for the last goroutines to end, and returns how many there are.
func GoroutinesDown(to int) int {
	n := runtime.NumGoroutine()
	for limit := time.Now().Add(downLimit); n > to && time.Now().Before(limit); n = runtime.NumGoroutine() {
		time.Sleep(20 * time.Millisecond)
	}
	return n
}
