package exchange

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRetryAfter(t *testing.T) {
	date := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"007":                           7 * time.Second,
		"0":                             0,
		"1.0":                           time.Second,
		"1.5":                           1500 * time.Millisecond,
		".5":                            500 * time.Millisecond,
		"3600":                          maxRetryAfter,
		"99999999999999999999":          maxRetryAfter,
		strings.Repeat("9", 400):        maxRetryAfter,
		"-1":                            0,
		"1.2.3":                         0,
		".":                             0,
		"1e3":                           0,
		"soon":                          0,
		"Mon, 23 Nov 2026 10:00:09 GMT": 9 * time.Second,
		"Mon, 23 Nov 2026 09:00:00 GMT": 0,
		"Mon, 23 Nov 2076 09:00:00 GMT": maxRetryAfter,
	} {
		assert.Equal(t, want, retryAfter(value, date), value)
	}
	synctest.Test(t, func(t *testing.T) { // its clock begins with a whole second
		later := time.Now().Add(10 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		assert.Equal(t, 10*time.Second, retryAfter(later, time.Time{}), "without a Date, by our clock")
	})
}

// Servers that send no Retry-After with their 429 say in a header of their limits when they
// answer again.
func TestRateLimitReset(t *testing.T) {
	date := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return strconv.FormatInt(date.Add(d).Unix(), 10) }
	for name, c := range map[string]struct {
		status int
		header []string
		want   time.Duration
	}{
		"Okta":                   {429, []string{"X-Rate-Limit-Reset", in(20 * time.Second)}, 20 * time.Second},
		"Auth0":                  {429, []string{"X-RateLimit-Reset", in(20 * time.Second)}, 20 * time.Second},
		"milliseconds":           {429, []string{"X-RateLimit-Reset", in(20*time.Second) + "000"}, 20 * time.Second},
		"what is left":           {429, []string{"RateLimit-Reset", "20"}, 20 * time.Second},
		"spaces":                 {429, []string{"X-RateLimit-Reset", " 20 "}, 20 * time.Second},
		"far away":               {429, []string{"X-Rate-Limit-Reset", in(time.Hour)}, maxRetryAfter},
		"far away, what is left": {429, []string{"RateLimit-Reset", "99999999"}, maxRetryAfter},
		"past":                   {429, []string{"X-Rate-Limit-Reset", in(-time.Second)}, 0},
		"negative":               {429, []string{"X-Rate-Limit-Reset", "-5"}, 0},
		"the largest":            {429, []string{"X-Rate-Limit-Reset", "9223372036854775807"}, maxRetryAfter},
		"no number":              {429, []string{"X-Rate-Limit-Reset", "soon"}, 0},
		"too large":              {429, []string{"X-Rate-Limit-Reset", "92233720368547758070"}, 0},
		"Retry-After goes first": {
			429, []string{"X-Rate-Limit-Reset", in(20 * time.Second), "Retry-After", "7"}, 7 * time.Second,
		},
		"one that is of no use":     {429, []string{"X-Rate-Limit-Reset", "", "RateLimit-Reset", "9"}, 9 * time.Second},
		"with every answer, no 429": {400, []string{"X-Rate-Limit-Reset", in(20 * time.Second)}, 0},
		"a 503":                     {503, []string{"X-RateLimit-Reset", in(20 * time.Second)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: c.status, Header: make(http.Header)}
			for i := 0; i < len(c.header); i += 2 {
				resp.Header.Set(c.header[i], c.header[i+1])
			}
			assert.Equal(t, c.want, pauseAsked(resp, date))
		})
	}
	synctest.Test(t, func(t *testing.T) {
		resp := &http.Response{StatusCode: 429, Header: make(http.Header)}
		resp.Header.Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(10*time.Second).Unix(), 10))
		assert.Equal(t, 10*time.Second, pauseAsked(resp, time.Time{}), "without a Date, by our clock")
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "7", "1.0", "-1", "Mon, 23 Nov 2026 10:00:09 GMT", "99999999999999999999",
		"Monday, 23-Nov-26 10:00:09 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, d := range []time.Duration{
			retryAfter(value, time.Unix(1e9, 0)), untilReset(value, time.Unix(1e9, 0)),
		} {
			assert.True(t, d >= 0 && d <= maxRetryAfter)
		}
	})
}
