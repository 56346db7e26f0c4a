package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// disturbance is how much of the processor others had while this program measured. Times
// that miss their mark on a machine that was busy say nothing, so they aren't judged.
type disturbance struct {
	mu  sync.Mutex
	one share // of serial measurements
	all share // of all processors at once
}

// share is the time by the clock and on the processor of the same work.
type share struct{ wall, cpu time.Duration }

// lost is the part of the time in which others ran.
func (s share) lost() float64 {
	if s.wall == 0 {
		return 0
	}
	return max(0, 1-s.cpu.Seconds()/s.wall.Seconds())
}

const (
	mostLost    = 0.05 // of the time of a serial measurement
	mostLostAll = 0.15 // of all processors' time
)

// note takes a serial measurement's time by the clock and on the processor.
func (d *disturbance) note(wall, cpu time.Duration) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.one.wall += wall
	d.one.cpu += cpu
}

// probe finds out what others leave of the processors: each is kept busy for a moment.
func (d *disturbance) probe() {
	const moment = 150 * time.Millisecond
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before, known := threadTime()
			start := time.Now()
			for time.Since(start) < moment {
			}
			wall := time.Since(start)
			after, _ := threadTime()
			if !known {
				return
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.all.wall += wall
			d.all.cpu += after - before
		})
	}
	wg.Wait()
}

func (d *disturbance) busy() bool { return d.one.lost() > mostLost || d.all.lost() > mostLostAll }

func (d *disturbance) String() string {
	if d.one.wall+d.all.wall == 0 {
		return "How much of the processors others had isn't known on this system."
	}
	text := "Other programs took "
	if d.one.wall > 0 {
		text += fmt.Sprintf("%.0f %% of one processor's time from the serial measurements, and ", 100*d.one.lost())
	}
	text += fmt.Sprintf("%.0f %% of the time of all %d processors, which was looked at in between. ", 100*d.all.lost(),
		runtime.GOMAXPROCS(0))
	if d.busy() {
		return text + "So the machine was busy: a time or a ratio of times that misses its mark is not judged."
	}
	return text + "So the machine was quiet enough to judge times."
}
