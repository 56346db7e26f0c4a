package cache

import "time"

// Pauses before the renewal after a failed one. They double from the shortest to
// the longest.
const (
	minRenewPause = 30 * time.Second
	maxRenewPause = 5 * time.Minute
)

// Verdict is what the owner makes of an error.
type Verdict struct {
	Remember  time.Duration // for which the same error is returned without a fetch
	Condition string        // while the owner's is this one; "": whatever it is
	General   bool          // it concerns callers with other claims too
	Pause     time.Duration // before the next renewal, at least
	Hopeless  bool          // asking for the same again won't do better
}

// refusal is an error that is answered again without a fetch.
type refusal struct {
	err       error
	until     time.Duration // clock reading,
	ahead     time.Duration // when the wall clock was so far ahead
	condition string        // it holds while the owner's is this one; "": whatever it is
}

// renewPause is the pause after a number of renewals that failed for a token that
// lives for a while; 0 is an unknown while. A short token gets a short pause.
func renewPause(failures int, life time.Duration) time.Duration {
	pause := min(minRenewPause<<min(failures-1, 8), maxRenewPause)
	if life > 0 {
		pause = min(pause, max(time.Second, life/10))
	}
	return pause
}
