package clock

import (
	"sync/atomic"
	"time"
)

// Offset is how far another machine's clock is ahead of this one's, as far as its
// answers show it. The zero value knows nothing. It may be used from many goroutines.
type Offset struct{ ahead atomic.Int64 }

// Note takes the date of an answer, and this machine's times when the question was asked
// and when the answer had come. A zero date changes nothing.
func (o *Offset) Note(date, asked, now time.Time) {
	if !date.IsZero() {
		o.ahead.Store(int64(LeastOffset(date, asked, now)))
	}
}

// Ahead is how far the other clock is at least ahead, or behind if it is negative.
func (o *Offset) Ahead() time.Duration { return time.Duration(o.ahead.Load()) }

// LeastOffset is the smallest difference between another machine's clock and this one's
// that explains a date. It is negative if the other clock is behind. The date, in whole
// seconds, was written at some moment between asked and now, so that a slow answer isn't
// taken for a wrong clock.
func LeastOffset(date, asked, now time.Time) time.Duration {
	if ahead := date.Sub(now); ahead > 0 {
		return ahead
	}
	if behind := date.Add(time.Second).Sub(asked); behind < 0 {
		return behind
	}
	return 0
}
