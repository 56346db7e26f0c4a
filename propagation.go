package certtoken

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// spreading are the refusals of Entra ID that come and go for some minutes after
// something was registered: the app, its certificate, its federated credential.
// The same codes say later that something is really missing, so requests are repeated
// only where that was asked for.
var spreading = []int{700016, 700027, 700213}

const (
	firstSpreadPause = time.Second // doubling
	maxSpreadPause   = 10 * time.Second
)

// isSpreading reports whether a refusal may pass when a registration has spread.
func isSpreading(err error) bool {
	var te *TokenError
	if !errors.As(err, &te) {
		return false
	}
	return slices.ContainsFunc(te.AADSTS, func(code int) bool { return slices.Contains(spreading, code) })
}

// spreadPause is how long to wait after so many attempts. The second half of the pause is
// random, so that processes that were started together don't ask together.
func spreadPause(attempts int) time.Duration {
	pause := min(firstSpreadPause<<min(attempts-1, 10), maxSpreadPause)
	return pause/2 + rand.N(pause/2)
}
