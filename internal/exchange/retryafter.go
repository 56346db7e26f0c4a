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
	if date.IsZero() {
		date = time.Now()
	}
	return min(max(0, at.Sub(date)), maxRetryAfter)
}
