package main

import (
	"fmt"
	"time"
)

// budget is the time that a run may take. What would take longer than what is left is
// left out, and the results say so.
type budget struct {
	deadline time.Time // zero: there is none
	omitted  *[]string
}

func newBudget(all time.Duration) budget {
	b := budget{omitted: new([]string)}
	if all > 0 {
		b.deadline = time.Now().Add(all)
	}
	return b
}

// allows reports whether there is time for something, and notes it if there isn't.
func (b budget) allows(what string, takes time.Duration) bool {
	if b.deadline.IsZero() || time.Until(b.deadline) >= takes {
		return true
	}
	b.omit(fmt.Sprintf("%s (%v)", what, takes))
	return false
}

func (b budget) omit(what string) { *b.omitted = append(*b.omitted, what) }

// left is the time until the end, or usual if that is shorter.
func (b budget) left(usual time.Duration) time.Duration {
	if b.deadline.IsZero() {
		return usual
	}
	return max(time.Second, min(usual, time.Until(b.deadline)))
}
