package exchange

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseGrant(t *testing.T) {
	const hour = time.Hour
	cases := map[string]struct {
		body string
		want Answer
		err  string
	}{
		"Entra": {body: `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"abc"}`,
			want: Answer{Access: "abc", Type: "Bearer", Lifetime: 3599 * time.Second, Extra: `{"ext_expires_in":3599}`}},
		"long-lived":       {body: `{"access_token":"abc","expires_in":86399,"refresh_in":43199}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: 86399 * time.Second, RefreshIn: 43199 * time.Second}},
		"strings":          {body: `{"access_token":"abc","token_type":"bearer","expires_in":"3600","refresh_in":"1800"}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour, RefreshIn: hour / 2}},
		"a fraction":       {body: `{"access_token":"abc","expires_in":1.5}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: 1500 * time.Millisecond}},
		"scopes":           {body: `{"access_token":"abc","expires_in":3600,"scope":"a  b"}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour, Scopes: []string{"a", "b"}}},
		"empty scope":      {body: `{"access_token":"abc","expires_in":3600,"scope":""}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour}},
		"scope not a text": {body: `{"access_token":"abc","expires_in":3600,"scope":["a"]}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour}},
		"another type":     {body: `{"access_token":"abc","token_type":"mtls_pop","expires_in":3600}`, want: Answer{Access: "abc", Type: "mtls_pop", Lifetime: hour}},
		"no expires_in":    {body: `{"access_token":"abc"}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: assumedLife}},
		"null expires_in":  {body: `{"access_token":"abc","expires_in":null}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: assumedLife}},
		"secrets":          {body: `{"access_token":"abc","expires_in":3600,"refresh_token":"r","id_token":"i"}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour, Refresh: "r", ID: "i"}},
		"absurd refresh":   {body: `{"access_token":"abc","expires_in":3600,"refresh_in":"soon"}`, want: Answer{Access: "abc", Type: "Bearer", Lifetime: hour}},

		"empty":              {body: ``, err: "not a JSON object"},
		"HTML":               {body: `<html>Sign in</html>`, err: "not a JSON object"},
		"a list":             {body: `[]`, err: "not a JSON object"},
		"null":               {body: `null`, err: "null"},
		"two values":         {body: `{"access_token":"abc","expires_in":1}{}`, err: "not a JSON object"},
		"no token":           {body: `{"expires_in":3600}`, err: "no access_token"},
		"empty token":        {body: `{"access_token":"","expires_in":3600}`, err: "no access_token"},
		"token not a text":   {body: `{"access_token":17,"expires_in":3600}`, err: "no access_token"},
		"another's spelling": {body: `{"Access_Token":"abc","expires_in":3600}`, err: "no access_token"},
		"newline in token":   {body: `{"access_token":"a\r\nX-Admin: 1","expires_in":3600}`, err: "characters"},
		"type is a header":   {body: `{"access_token":"abc","token_type":"a\r\nb","expires_in":3600}`, err: "token_type"},
		"negative":           {body: `{"access_token":"abc","expires_in":-1}`, err: "expires_in"},
		"zero":               {body: `{"access_token":"abc","expires_in":0}`, err: "expires_in"},
		"absurd":             {body: `{"access_token":"abc","expires_in":1e300}`, err: "expires_in"},
		"a thousand years":   {body: `{"access_token":"abc","expires_in":31536000000}`, err: "expires_in"},
		"a word":             {body: `{"access_token":"abc","expires_in":"soon"}`, err: "expires_in"},
		"NaN":                {body: `{"access_token":"abc","expires_in":"NaN"}`, err: "expires_in"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAnswer([]byte(c.body))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				assert.NotContains(t, err.Error(), "abc", "an error never repeats the body")
				assert.Zero(t, got)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	date := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"0":                             0,
		"3600":                          maxRetryAfter,
		"99999999999999999999":          maxRetryAfter,
		"-1":                            0,
		"1.5":                           0,
		"soon":                          0,
		"Mon, 23 Nov 2026 10:00:09 GMT": 9 * time.Second,
		"Mon, 23 Nov 2026 09:00:00 GMT": 0,
		"Mon, 23 Nov 2076 09:00:00 GMT": maxRetryAfter,
	} {
		assert.Equal(t, want, retryAfter(value, date), value)
	}
	assert.InDelta(t, 9, retryAfter(time.Now().Add(10*time.Second).UTC().Format(http.TimeFormat), time.Time{}).Seconds(), 1.01, "without a Date, by our clock")
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "7", "-1", "Mon, 23 Nov 2026 10:00:09 GMT", "99999999999999999999", "Monday, 23-Nov-26 10:00:09 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d := retryAfter(value, time.Unix(1e9, 0))
		assert.True(t, d >= 0 && d <= maxRetryAfter)
	})
}
