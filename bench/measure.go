package main

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// subject is something that is measured beside others.
type subject struct {
	name string
	op   func(i int) // the i-th operation; called from several goroutines
}

// settings say how much time a run takes.
type settings struct {
	rounds int           // of which the median counts
	piece  time.Duration // of one measurement: shorter than a time slice of a busy machine
	pieces int           // of a round, of which the fastest counts
	least  int           // operations of a measurement, where they differ
	sizes  []int         // of a cache
	peers  int           // the largest cache for the peers, whose filling is quadratic
	window time.Duration // of looking at callers while a renewal is under way
	rushes []int         // keys of a rush on cold keys
}

var (
	thorough = settings{
		rounds: 6, piece: 1500 * time.Microsecond, pieces: 24,
		sizes: []int{1, 10, 100, 1_000, 10_000, 100_000}, peers: 10_000,
		window: 3500 * time.Millisecond,
		rushes: []int{2_500, 10_000},
	}
	quick = settings{
		rounds: 3, piece: 1500 * time.Microsecond, pieces: 8,
		sizes: []int{1, 10, 100, 1_000, 10_000}, peers: 1_000,
		window: 2500 * time.Millisecond,
		rushes: []int{500},
	}
)

// samples are nanoseconds for an operation, one value for each round.
type samples []float64

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// over is the median of the ratios to another subject, round by round: what
// else the machine does in a round concerns both.
func (s samples) over(other samples) float64 {
	ratios := make(samples, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios.median()
}

// compare measures subjects in turns, so that they share the machine's moods.
func compare(cfg settings, parallel int, subjects ...subject) map[string]samples {
	result := make(map[string]samples, len(subjects))
	runs := make([]stretch, len(subjects))
	for i, s := range subjects {
		runs[i] = stretch{op: s.op, parallel: parallel}
		runs[i].calibrate(cfg)
	}
	for range cfg.rounds {
		for i, s := range subjects {
			best := runs[i].run()
			for range runs[i].pieces - 1 {
				best = min(best, runs[i].run())
			}
			result[s.name] = append(result[s.name], best)
		}
	}
	return result
}

// stretch runs an operation, further on each time: to begin anew would find
// what it needs in the processor's caches.
type stretch struct {
	op       func(i int)
	parallel int // goroutines
	n        int // operations of each of them in a run
	pieces   int // runs in a round
	next     int
}

// fewest is how many runs a round has even if they are long.
const fewest = 3

// calibrate finds how many operations a run has, and how many runs a round.
func (s *stretch) calibrate(cfg settings) {
	for s.n = 1; ; s.n *= 2 {
		took := min(s.run(), s.run()) * float64(s.n*s.parallel)
		if took < float64(cfg.piece)/2 && s.n < 1<<28 {
			continue
		}
		one := took / float64(s.n)
		s.n = max(1, cfg.least, int(float64(cfg.piece)/one))
		s.pieces = max(fewest, min(cfg.pieces, int(float64(cfg.piece)*float64(cfg.pieces)/(one*float64(s.n)))))
		return
	}
}

// run returns the wall time for one operation, in nanoseconds.
func (s *stretch) run() float64 {
	first := s.next
	s.next += s.n * s.parallel
	start := time.Now()
	if s.parallel == 1 {
		for i := first; i < s.next; i++ {
			s.op(i)
		}
		return float64(time.Since(start)) / float64(s.n)
	}
	var wg sync.WaitGroup
	for p := range s.parallel {
		wg.Go(func() {
			for i := first + p*s.n; i < first+(p+1)*s.n; i++ {
				s.op(i)
			}
		})
	}
	wg.Wait()
	return float64(time.Since(start)) / float64(s.n*s.parallel)
}

// spread picks one of n for the i-th operation, in no order that a cache of the
// processor could learn, at the cost of two multiplications.
func spread(i, n int) int {
	return int(uint64(uint32(i)*0x9E3779B1) * uint64(n) >> 32)
}

// allocations counts them for one operation.
func allocations(op func(int)) float64 {
	const n = 1000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	op(0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		op(i)
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / n)
}

// liveHeap is what the program holds.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what a finalizer or a pool held in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
