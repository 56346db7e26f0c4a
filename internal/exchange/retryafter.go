package exchange

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxRetryAfter = 5 * time.Minute

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds, or a date,
// which is held against the server's own clock. Some servers write seconds with
// a fraction. 0 means none.
func retryAfter(value string, date time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if strings.Trim(value, "0123456789.") == "" {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil && n == 0 { // no number
			return 0
		}
		return min(duration(n), maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return pauseUntil(at, date)
}

// pauseUntil is how long it is until a time that the server named, by its own clock, or by
// ours if it told none.
func pauseUntil(at, date time.Time) time.Duration {
	if date.IsZero() {
		date = time.Now()
	}
	return min(max(0, at.Sub(date)), maxRetryAfter)
}

// rateLimitResets are the headers in which servers that send no Retry-After say when they
// answer again: Okta's, Auth0's, and that of an early draft of the IETF.
var rateLimitResets = []string{"X-Rate-Limit-Reset", "X-RateLimit-Reset", "RateLimit-Reset"}

// pauseAsked is how long a server wants to be left alone. Many send the headers of their
// limits with every answer, so these count for a 429 alone. 0 means none.
func pauseAsked(resp *http.Response, date time.Time) time.Duration {
	pause := retryAfter(resp.Header.Get("Retry-After"), date)
	if pause > 0 || resp.StatusCode != http.StatusTooManyRequests {
		return pause
	}
	for _, name := range rateLimitResets {
		if pause := untilReset(resp.Header.Get(name), date); pause > 0 {
			return pause
		}
	}
	return 0
}

// untilReset reads when a limit ends. Some servers write the seconds that are left, others
// the time in seconds or milliseconds since 1970. They are told apart by their size: seconds
// that are left are fewer than 100 million, which is three years.
func untilReset(value string, date time.Time) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	switch {
	case err != nil:
		return 0
	case n >= 1e12:
		return pauseUntil(time.UnixMilli(n), date)
	case n >= 1e8:
		return pauseUntil(time.Unix(n, 0), date)
	}
	return min(max(0, duration(float64(n))), maxRetryAfter)
}
