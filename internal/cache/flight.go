package cache

import (
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/workers"
)

// maxAbandonedOfKey bounds the flights of one key that were given up and still run,
// because a part of the program ignores its context. [workers.MaxAbandoned] bounds
// those of all keys. Beyond either no flight is started.
const maxAbandonedOfKey = 4

// abandonAfter is how long a flight may go on after the end of its context before
// it is given up.
const abandonAfter = 5 * time.Second

// flight is one fetch under way.
type flight[T any] struct {
	done   chan struct{} // closed when the results are there
	task   *workers.Task
	claims string // that the token is asked for with

	trouble atomic.Pointer[string] // of an attempt that is being repeated

	// renewBefore is Slot.renew as it was when the flight began.
	renewBefore int64

	// overdue gives the flight up. It is stopped while the flight waits for its turn.
	overdue  *time.Timer
	reported chan struct{} // closed when the owner was told that the flight was given up

	// Slot.mu guards these.
	waiting   int    // callers
	withdraw  func() // ends the wait for the first turn; nil: it hasn't waited for one
	landed    bool
	abandoned bool   // its time was over before it ended,
	hungIn    string // in this part of the program
	ended     bool

	// The results. They are written before done is closed, and read afterwards.
	token  *T
	shared bool // the token is one that other processes have too
	err    error

	withdrawn bool // the error is that nobody waited any more
}
