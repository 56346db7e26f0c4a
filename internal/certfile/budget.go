package certfile

import "fmt"

// budget is the work that is left for one call of Parse, in rounds.
type budget struct {
	left int64
}

// covers reports whether rounds can still be paid for.
func (b *budget) covers(rounds int64) bool { return rounds <= b.left }

// spend pays for one derivation before it is made.
func (b *budget) spend(rounds int64) error {
	if !b.covers(rounds) {
		return fmt.Errorf("%w: more than %d rounds of key derivation in all", ErrTooLarge, maxTotalRounds)
	}
	b.left -= rounds
	return nil
}

// plan refuses work that is known beforehand to exceed the budget, before any
// of it is done.
func (b *budget) plan(rounds int64) error {
	ahead := *b
	return ahead.spend(rounds)
}

// errNoRounds: some readers take a count below 1 for 1. No tool writes it.
var errNoRounds = formatError("key derivation with a count below 1")

// checkRounds refuses an iteration count that is out of bounds.
func checkRounds(rounds int64) error {
	switch {
	case rounds < 1:
		return errNoRounds
	case rounds > maxRounds:
		return fmt.Errorf("%w: %d rounds of key derivation; the limit is %d", ErrTooLarge, rounds, maxRounds)
	}
	return nil
}
