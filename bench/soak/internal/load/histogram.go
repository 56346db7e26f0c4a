package load

import (
	"encoding/json"
	"math/bits"
	"sync/atomic"
	"time"
)

// perDouble is how many steps a doubling of the time has: values are exact to
// an eighth.
const perDouble = 8

// Histogram counts durations in steps that grow with them. Its zero value is
// empty; it may be used from many goroutines.
type Histogram struct {
	counts [64 * perDouble]atomic.Int64
	total  atomic.Int64
	most   atomic.Int64
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[step(d)].Add(1)
	h.total.Add(1)
	h.atLeast(int64(d))
}

func (h *Histogram) atLeast(d int64) {
	for {
		old := h.most.Load()
		if d <= old || h.most.CompareAndSwap(old, d) {
			return
		}
	}
}

// Merge counts everything that other has counted, too.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.counts {
		h.counts[i].Add(other.counts[i].Load())
	}
	h.total.Add(other.total.Load())
	h.atLeast(other.most.Load())
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

// At is the duration that a part q of all don't exceed.
func (h *Histogram) At(q float64) time.Duration {
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

// histogramJSON is a histogram on its way to another process.
type histogramJSON struct {
	Counts map[int]int64 `json:"counts"` // of the steps that have any
	Most   int64         `json:"most"`
}

// MarshalJSON implements [json.Marshaler].
func (h *Histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Counts: make(map[int]int64), Most: h.most.Load()}
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			out.Counts[i] = n
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements [json.Unmarshaler], for an empty histogram.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	for i, n := range in.Counts {
		if i >= 0 && i < len(h.counts) {
			h.counts[i].Store(n)
			h.total.Add(n)
		}
	}
	h.most.Store(in.Most)
	return nil
}
