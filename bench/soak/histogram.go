package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// perDouble is how many steps a doubling of the time has: values are exact to
// an eighth.
const perDouble = 8

// histogram counts durations in steps that grow with them. Its zero value is
// empty; it may be used from many goroutines.
type histogram struct {
	counts [64 * perDouble]atomic.Int64
	total  atomic.Int64
	most   atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	h.counts[step(d)].Add(1)
	h.total.Add(1)
	for {
		old := h.most.Load()
		if int64(d) <= old || h.most.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// step is the index of a duration: its power of two and the three bits below.
func step(d time.Duration) int {
	n := uint64(max(d, 1))
	power := bits.Len64(n) - 1
	below := 0
	if power >= 3 {
		below = int(n>>(power-3)) & (perDouble - 1)
	}
	return power*perDouble + below
}

// at is the duration that a part q of all don't exceed.
func (h *histogram) at(q float64) time.Duration {
	most := time.Duration(h.most.Load())
	if q >= 1 {
		return most
	}
	left := int64(q * float64(h.total.Load()))
	for i := range h.counts {
		if left -= h.counts[i].Load(); left < 0 {
			return min(most, upper(i))
		}
	}
	return most
}

// upper is the end of a step.
func upper(i int) time.Duration {
	power, below := i/perDouble, i%perDouble
	if power < 3 {
		return 1 << (power + 1)
	}
	return time.Duration(perDouble+below+1) << (power - 3)
}
