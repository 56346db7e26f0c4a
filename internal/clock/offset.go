package clock

import (
	"sync/atomic"
	"time"
)

// Offset is how far another machine's clock is ahead of this one's, as far as its
// answers show it. The zero value knows nothing. It may be used from many goroutines.
type Offset struct{ ahead atomic.Int64 }

// Note is given the date of an answer and the times of this machine at which the
// question was asked and the answer had come. A zero date says nothing.
func (o *Offset) Note(date, asked, now time.Time) {
	if !date.IsZero() {
		o.ahead.Store(int64(SurelyAhead(date, asked, now)))
	}
}

// Ahead is how far the other clock is at least ahead, or behind if it is negative.
func (o *Offset) Ahead() time.Duration { return time.Duration(o.ahead.Load()) }

// SurelyAhead is how far the clock behind a date is at least ahead of this machine's,
// or behind if it is negative. The date, which has whole seconds, was written at some
// moment between the question and the answer: a slow answer is no drift.
func SurelyAhead(date, asked, now time.Time) time.Duration {
	if ahead := date.Sub(now); ahead > 0 {
		return ahead
	}
	if behind := date.Add(time.Second).Sub(asked); behind < 0 {
		return behind
	}
	return 0
}
