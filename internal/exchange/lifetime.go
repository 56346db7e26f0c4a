package exchange

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxLife bounds a token's lifetime. Servers whose tokens don't end write a
	// century, or what a number can hold; a year longer makes no difference.
	MaxLife = 10 * 365 * 24 * time.Hour

	// assumedLife is that of a token whose server doesn't say. It is cached, so
	// that not every call asks, and soon renewed.
	assumedLife = time.Minute
)

// lifetime reads expires_in, or expires_on where that says nothing. now is the
// server's time. A lifetime that isn't positive, or no number at all, is none: the
// token was granted a moment ago, so it can't be over.
func (f fields) lifetime(now time.Time, assumed time.Duration) time.Duration {
	if life := seconds(f["expires_in"]); life > 0 {
		return min(life, MaxLife)
	}
	if life := f.until(now); life > 0 {
		return min(life, MaxLife)
	}
	if assumed <= 0 {
		assumed = assumedLife
	}
	return assumed
}

// until reads expires_on: Unix seconds as Entra ID's older endpoints write them,
// in a string or a number. Some servers write milliseconds, some a duration, and
// the size of the number says which.
func (f fields) until(now time.Time) time.Duration {
	const firstTime, firstMilliseconds = 1e9, 1e11 // 2001, and the year 5138
	n, ok := number(f["expires_on"])
	switch {
	case !ok || n <= 0:
		return 0
	case n < firstTime:
		return duration(n)
	case n >= firstMilliseconds:
		n /= 1000
	}
	return duration(n - float64(now.UnixMilli())/1000)
}

// seconds reads a number of seconds; 0 means that there is none.
func seconds(raw json.RawMessage) time.Duration {
	n, ok := number(raw)
	if !ok {
		return 0
	}
	return duration(n)
}

// number reads a number, which some servers write as a string.
func number(raw json.RawMessage) (float64, bool) {
	if len(raw) == 0 {
		return 0, false
	}
	s := string(raw)
	if strings.HasPrefix(s, `"`) && json.Unmarshal(raw, &s) != nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if math.IsNaN(n) || err != nil && !math.IsInf(n, 0) {
		return 0, false
	}
	return n, true
}

// duration is a number of seconds, as long as a Duration can be.
func duration(seconds float64) time.Duration {
	const longest = float64(math.MaxInt64 / int64(time.Second))
	return time.Duration(max(-longest, min(seconds, longest)) * float64(time.Second))
}
