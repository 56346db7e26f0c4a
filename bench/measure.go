package main

import (
	"runtime"
	"sync"
	"time"
)

// subject is something that is measured beside others.
type subject struct {
	name string
	op   func(i int) // the i-th operation; called from several goroutines
}

// compare measures subjects in turns, so that they share the machine's moods. The turns
// are shorter than a time slice of a busy machine, and of each round the fastest counts.
// What is measured serially is the thread's time on the processor, where the system tells
// it: what others take of the machine is left out.
func compare(cfg settings, parallel int, subjects ...subject) map[string]samples {
	result := make(map[string]samples, len(subjects))
	runs := make([]stretch, len(subjects))
	if parallel == 1 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	for i, s := range subjects {
		// Each begins elsewhere, so that none finds in the processor's caches what another
		// has just brought there.
		runs[i] = stretch{op: s.op, parallel: parallel, next: i << 24, threads: cfg.threads, disturbed: cfg.disturbed}
		runs[i].calibrate(cfg)
	}
	for range cfg.rounds {
		best := make(samples, len(subjects))
		for piece := range cfg.pieces {
			for i := range subjects {
				if piece >= runs[i].pieces {
					continue
				}
				if took := runs[i].run(); piece == 0 || took < best[i] {
					best[i] = took
				}
			}
		}
		for i, s := range subjects {
			result[s.name] = append(result[s.name], best[i])
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
	threads  bool // all threads' time counts

	disturbed *disturbance
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

// run returns the time for one operation, in nanoseconds: on the processor if it is
// serial, else by the clock.
func (s *stretch) run() float64 {
	first := s.next
	s.next += s.n * s.parallel
	start := time.Now()
	if s.parallel == 1 {
		before, known := s.time()
		for i := first; i < s.next; i++ {
			s.op(i)
		}
		wall, took := time.Since(start), time.Duration(0)
		if after, _ := s.time(); known {
			took = after - before
		} else {
			took = wall
		}
		s.disturbed.note(wall, took)
		return float64(took) / float64(s.n)
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

// time is that on the processor, of this thread or of all.
func (s *stretch) time() (t time.Duration, known bool) {
	if s.threads {
		return processTime(), true
	}
	return threadTime()
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
