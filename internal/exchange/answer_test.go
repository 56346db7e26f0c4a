package exchange

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	endpoint = "https://issuer.example/token"
	asked    = "Mon, 23 Nov 2026 10:00:00 GMT" // 1795428000
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded;charset=UTF-8"
)

// askedAt is the time that asked names.
var askedAt = time.Unix(1795428000, 0).UTC()

func respond(status int, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {jsonType}, "Date": {asked}}}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// A token that is granted beyond doubt is taken, in whatever form; what makes it
// doubtful is said, and never by what may be the token.
func TestParseGrant(t *testing.T) {
	const hour = time.Hour
	bearer := func(life time.Duration) Answer { return Answer{Access: "abc", Type: "Bearer", Lifetime: life} }
	with := func(a Answer, change func(*Answer)) Answer { change(&a); return a }
	cases := map[string]struct {
		status int // 0: 200
		header []string
		body   string
		asked  Request
		want   Answer
		err    string
	}{
		// as the standard has it
		"Entra": {
			body: `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"abc"}`,
			want: with(bearer(3599*time.Second), func(a *Answer) { a.Extra = `{"ext_expires_in":3599}` }),
		},
		"long-lived": {
			body: `{"access_token":"abc","expires_in":86399,"refresh_in":43199}`,
			want: with(bearer(86399*time.Second), func(a *Answer) { a.RefreshIn = 43199 * time.Second }),
		},
		"scopes": {
			body: `{"access_token":"abc","expires_in":3600,"scope":"a  b"}`,
			want: with(bearer(hour), func(a *Answer) { a.Scopes = []string{"a", "b"} }),
		},
		"secrets": {
			body: `{"access_token":"abc","expires_in":3600,"refresh_token":"r","id_token":"i"}`,
			want: with(bearer(hour), func(a *Answer) { a.Refresh, a.ID = "r", "i" }),
		},

		// the status and the form
		"status 201":  {status: 201, body: `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"status 202":  {status: 202, body: `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"status 203":  {status: 203, body: `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"a BOM":       {body: "\xef\xbb\xbf" + `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"white space": {body: "\r\n\t " + `{"access_token":"abc","expires_in":3600}` + "\n\n", want: bearer(hour)},
		"another type": {
			header: []string{"Content-Type", "text/html"}, body: `{"access_token":"abc","expires_in":3600}`,
			want: bearer(hour),
		},
		"a form": {
			header: []string{
				"Content-Type",
				formType,
			}, body: "access_token=abc&expires_in=3600&scope=a+b%20c&token_type=bearer",
			want: with(bearer(hour), func(a *Answer) { a.Scopes = []string{"a", "b", "c"} }),
		},
		"a form with a line end": {
			header: []string{"Content-Type", formType}, body: "access_token=abc&expires_in=3600\r\n",
			want: bearer(hour),
		},
		"JSON that is said to be a form": {
			header: []string{
				"Content-Type",
				formType,
			}, body: `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"no error": {
			body: `{"access_token":"abc","expires_in":3600,"error":null}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"error":null}` }),
		},
		"an empty error": {
			body: `{"access_token":"abc","expires_in":3600,"error":""}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"error":""}` }),
		},
		"error code 0": {
			body: `{"access_token":"abc","expires_in":3600,"error":0}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"error":0}` }),
		},
		"a message with it": {
			body: `{"access_token":"abc","expires_in":3600,"message":"ok"}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"message":"ok"}` }),
		},

		// the token
		"a line end after the token": {body: `{"access_token":"abc\n","expires_in":3600}`, want: bearer(hour)},
		"CRLF after the token":       {body: `{"access_token":"abc\r\n","expires_in":3600}`, want: bearer(hour)},
		"a space after token and type": {
			body: `{"access_token":"abc ","token_type":"Bearer ","expires_in":3600}`, want: bearer(hour),
		},
		"a line end after the refresh token": {
			body: `{"access_token":"abc","expires_in":3600,"refresh_token":"r\n"}`,
			want: with(bearer(hour), func(a *Answer) { a.Refresh = "r" })},
		"an empty scope":     {body: `{"access_token":"abc","expires_in":3600,"scope":""}`, want: bearer(hour)},
		"a scope not a text": {body: `{"access_token":"abc","expires_in":3600,"scope":["a"]}`, want: bearer(hour)},

		// the type
		"no type": {body: `{"access_token":"abc","expires_in":3600}`, want: bearer(hour)},
		"small letters": {
			body: `{"access_token":"abc","token_type":"bearer","expires_in":3600}`,
			want: bearer(hour),
		},
		"large letters": {
			body: `{"access_token":"abc","token_type":"BEARER","expires_in":3600}`,
			want: bearer(hour),
		},
		"type is no text": {body: `{"access_token":"abc","token_type":1,"expires_in":3600}`, want: bearer(hour)},
		"bound, as asked": {
			body:  `{"access_token":"abc","token_type":"MTLS_PoP","expires_in":3600}`,
			asked: Request{TokenType: "mtls_pop"},
			want:  Answer{Access: "abc", Type: "mtls_pop", Lifetime: hour},
		},
		"access_token, taken": {
			body:  `{"access_token":"abc","token_type":"access_token","expires_in":3600}`,
			asked: Request{AnyType: true}, want: bearer(hour),
		},
		"jwt-bearer, taken": {
			body:  `{"access_token":"abc","token_type":"jwt-bearer","expires_in":3600}`,
			asked: Request{AnyType: true}, want: bearer(hour),
		},
		"a URN, taken": {
			body:  `{"access_token":"abc","token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":3600}`,
			asked: Request{AnyType: true}, want: bearer(hour),
		},

		// the lifetime
		"a text":              {body: `{"access_token":"abc","expires_in":"3600"}`, want: bearer(hour)},
		"a text with a space": {body: `{"access_token":"abc","expires_in":" 3600 "}`, want: bearer(hour)},
		"refresh_in as a text": {
			body: `{"access_token":"abc","expires_in":"3600","refresh_in":"1800"}`,
			want: with(bearer(hour), func(a *Answer) { a.RefreshIn = hour / 2 }),
		},
		"a fraction": {
			body: `{"access_token":"abc","expires_in":1.5}`, want: bearer(1500 * time.Millisecond),
		},
		"an exponent":      {body: `{"access_token":"abc","expires_in":3.6e3}`, want: bearer(hour)},
		"a thousand years": {body: `{"access_token":"abc","expires_in":31536000000}`, want: bearer(MaxLife)},
		"2^63 - 1": {
			body: `{"access_token":"abc","expires_in":9223372036854775807}`, want: bearer(MaxLife),
		},
		"1e300":             {body: `{"access_token":"abc","expires_in":1e300}`, want: bearer(MaxLife)},
		"1e999":             {body: `{"access_token":"abc","expires_in":"1e999"}`, want: bearer(MaxLife)},
		"zero":              {body: `{"access_token":"abc","expires_in":0}`, want: bearer(time.Minute)},
		"negative":          {body: `{"access_token":"abc","expires_in":-1}`, want: bearer(time.Minute)},
		"absurdly negative": {body: `{"access_token":"abc","expires_in":-1e300}`, want: bearer(time.Minute)},
		"empty":             {body: `{"access_token":"abc","expires_in":""}`, want: bearer(time.Minute)},
		"null":              {body: `{"access_token":"abc","expires_in":null}`, want: bearer(time.Minute)},
		"a word":            {body: `{"access_token":"abc","expires_in":"never"}`, want: bearer(time.Minute)},
		"NaN":               {body: `{"access_token":"abc","expires_in":"NaN"}`, want: bearer(time.Minute)},
		"an object":         {body: `{"access_token":"abc","expires_in":{"s":1}}`, want: bearer(time.Minute)},
		"absurd refresh_in": {
			body: `{"access_token":"abc","expires_in":3600,"refresh_in":"soon"}`, want: bearer(hour),
		},
		"missing": {body: `{"access_token":"abc"}`, want: bearer(time.Minute)},
		"missing, and assumed": {
			body: `{"access_token":"abc"}`, asked: Request{AssumedLife: 2 * hour}, want: bearer(2 * hour),
		},
		"zero, and assumed": {
			body: `{"access_token":"abc","expires_in":0}`, asked: Request{AssumedLife: 2 * hour},
			want: bearer(2 * hour),
		},
		"given, though assumed": {
			body: `{"access_token":"abc","expires_in":3600}`, asked: Request{AssumedLife: 2 * hour},
			want: bearer(hour),
		},
		"expires_on alone": {
			body: `{"access_token":"abc","expires_on":"1795431600"}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"expires_on":"1795431600"}` })},
		"expires_on, a number": {
			body: `{"access_token":"abc","expires_on":1795431600}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"expires_on":1795431600}` })},
		"expires_on, milliseconds": {
			body: `{"access_token":"abc","expires_on":1795431600000}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"expires_on":1795431600000}` })},
		"expires_on, a duration": {
			body: `{"access_token":"abc","expires_on":3600}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"expires_on":3600}` })},
		"expires_on before now": {
			body: `{"access_token":"abc","expires_on":1795427999}`,
			want: with(bearer(time.Minute), func(a *Answer) { a.Extra = `{"expires_on":1795427999}` })},
		"expires_in counts before expires_on": {
			body: `{"access_token":"abc","expires_in":"3600","expires_on":"1795514400"}`,
			want: with(bearer(hour), func(a *Answer) { a.Extra = `{"expires_on":"1795514400"}` }),
		},

		// what isn't a token
		"no body":    {body: ``, err: "not a JSON object"},
		"no content": {status: 204, body: ``, err: "status 204"},
		"HTML": {
			header: []string{"Content-Type", "text/html"}, body: `<html><title>Sign in</title>abc</html>`,
			err: `text/html: it is not a JSON object; it is a page with the title "Sign in"`,
		},
		"a filter with status 200": {
			body: `<html><head><title>Request Rejected</title></head><body>Your support ID is: ` +
				`12345678901234567890</body></html>`,
			err: `the title "Request Rejected" and the id "12345678901234567890"`,
		},
		"plain text": {
			header: []string{"Content-Type", "text/plain"}, body: `abc`,
			err: "(status 200, text/plain: it is not a JSON object)",
		},
		"a list":             {body: `[{"access_token":"abc"}]`, err: "not a JSON object"},
		"a JSON text":        {body: `"abc"`, err: "not a JSON object"},
		"null alone":         {body: `null`, err: "null"},
		"two values":         {body: `{"access_token":"abc","expires_in":1}{}`, err: "not a JSON object"},
		"cut off":            {body: `{"access_token":"abc","expires_in":36`, err: "not a JSON object"},
		"no token":           {body: `{"expires_in":3600}`, err: "no access_token"},
		"an empty token":     {body: `{"access_token":"","expires_in":3600}`, err: "no access_token"},
		"a blank token":      {body: `{"access_token":" \n","expires_in":3600}`, err: "no access_token"},
		"token not a text":   {body: `{"access_token":17,"expires_in":3600}`, err: "no access_token"},
		"another's spelling": {body: `{"Access_Token":"abc","expires_in":3600}`, err: "no access_token"},
		"an ID token alone":  {body: `{"id_token":"abc"}`, err: "an id_token and no access_token"},
		"a message instead": {
			body: `{"message":"try the other endpoint"}`, err: "no access_token; it says: try the other endpoint",
		},
		"a form of two": {
			header: []string{"Content-Type", formType}, body: "access_token=abc&access_token=abd",
			err: "several access tokens",
		},
		"a broken form": {
			header: []string{"Content-Type", formType}, body: "access_token=abc%zz", err: "not a form",
		},
		"a form elsewhere": {
			header: []string{"Content-Type", "text/plain"}, body: "access_token=abc&expires_in=3600",
			err: "not a JSON object",
		},

		// tokens that would do harm
		"header in token":  {body: `{"access_token":"a\r\nX-Admin: 1","expires_in":3600}`, err: "characters"},
		"space in token":   {body: `{"access_token":"a b","expires_in":3600}`, err: "characters"},
		"control in token": {body: `{"access_token":"ab\u0000c","expires_in":3600}`, err: "characters"},
		"umlaut in token":  {body: `{"access_token":"äbc","expires_in":3600}`, err: "characters"},
		"header in type": {
			body: `{"access_token":"abc","token_type":"a\r\nb","expires_in":3600}`, err: `type "a\r\nb"`,
		},
		"token as type": {
			body: `{"access_token":"abc-def-ghi-jkl","token_type":"abc-def-ghi-jkl","expires_in":3600}`,
			err:  `type "[removed]"`,
		},

		// types that are something else
		"DPoP, not asked for": {
			body: `{"access_token":"abc","token_type":"DPoP","expires_in":3600}`,
			err:  `its token is of type "DPoP" where Bearer was asked for`,
		},
		"mac": {
			body: `{"access_token":"abc","token_type":"mac","expires_in":3600}`, err: `type "mac"`,
		},
		"N_A": {
			body: `{"access_token":"abc","token_type":"N_A","expires_in":3600}`, err: `type "N_A"`,
		},
		"PoP": {
			body: `{"access_token":"abc","token_type":"PoP","expires_in":3600}`, err: `type "PoP"`,
		},
		"Basic": {
			body: `{"access_token":"abc","token_type":"Basic","expires_in":3600}`, err: `type "Basic"`,
		},
		"Negotiate": {
			body: `{"access_token":"abc","token_type":"Negotiate","expires_in":3600}`, err: `type "Negotiate"`,
		},
		"bound, not asked for": {
			body: `{"access_token":"abc","token_type":"mtls_pop","expires_in":3600}`, err: `type "mtls_pop"`,
		},
		"unknown": {
			body: `{"access_token":"abc","token_type":"access_token","expires_in":3600}`, err: `type "access_token"`,
		},
		"not bound as asked": {
			body:  `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`,
			asked: Request{TokenType: "mtls_pop"},
			err:   `its token is of type "Bearer" where mtls_pop was asked for`,
		},
		"no type where bound was asked for": {
			body:  `{"access_token":"abc","expires_in":3600}`,
			asked: Request{TokenType: "mtls_pop"},
			err:   "where mtls_pop was asked for"},
		"DPoP, any name": {
			body: `{"access_token":"abc","token_type":"DPoP","expires_in":3600}`, asked: Request{AnyType: true},
			err: `type "DPoP"`,
		},
		"N_A, any name": {
			body: `{"access_token":"abc","token_type":"n_a","expires_in":3600}`, asked: Request{AnyType: true},
			err: `type "n_a"`,
		},

		// not followed
		"a redirect": {
			status: 302, header: []string{"Location", "https://evil.example/?a=abc"},
			err: "it redirects to evil.example, which",
		},
		"a redirect with a user": {
			status: 307, header: []string{"Location", "https://u:abc@evil.example/"},
			err: "it redirects to evil.example, which",
		},
		"a redirect to a path": {
			status: 302, header: []string{"Location", "/login;jsessionid=5?next=abc"},
			err: "it redirects to https://issuer.example/login, which",
		},
		"a redirect to the same with a slash": {
			status: 308, header: []string{"Location", "https://issuer.example/token/"},
			err: "it redirects to https://issuer.example/token/, which",
		},
		"a redirect to another port": {
			status: 308, header: []string{"Location", "https://issuer.example:8443/token"},
			err: "it redirects to issuer.example:8443, which",
		},
		"a redirect to nowhere": {status: 303, err: "it redirects, which"},
		"what isn't an answer":  {status: 101, err: "status 101"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status := 200
			if c.status != 0 {
				status = c.status
			}
			c.asked.Endpoint = endpoint
			got, err := Read(&c.asked, respond(status, c.header...), []byte(c.body))
			if c.err != "" {
				var unusable *Unusable
				require.ErrorAs(t, err, &unusable)
				require.ErrorContains(t, err, c.err)
				assert.Equal(
					t,
					name == "unknown" || name == "header in type" || name == "token as type",
					unusable.UnknownType,
				)
				assert.NotContains(t, err.Error(), "abc", "an error never repeats the token")
				assert.Zero(t, got)
				return
			}
			require.NoError(t, err)
			c.want.Date = askedAt
			assert.Equal(t, c.want, got)
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, body := range answerBodies {
		f.Add(200, jsonType, "", []byte(body))
	}
	for _, body := range refusalBodies {
		f.Add(400, jsonType, `Bearer error="invalid_token"`, []byte(body))
		f.Add(200, "text/html", "", []byte(body))
	}
	f.Add(201, formType, "", []byte("access_token=abc&expires_in=3600"))
	for _, body := range longRefusals(8 << 10) {
		f.Add(400, jsonType, "", body)
	}
	f.Add(401, "", strings.Repeat(`Bearer error_description="some text that is new", `, 100), []byte{})
	f.Fuzz(func(t *testing.T, status int, contentType, challenge string, body []byte) {
		resp := respond(status, "Content-Type", contentType, "WWW-Authenticate", challenge, "Retry-After", challenge)
		a, err := Read(&Request{Endpoint: endpoint}, resp, body)
		if err != nil {
			assert.Zero(t, a)
			assert.Less(t, len(err.Error()), 3<<10)
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.Equal(t, 2, status/100)
		assert.Equal(t, Bearer, a.Type)
		assert.NotEmpty(t, a.Access)
		assert.NotContains(t, a.Access, "\n")
		assert.True(t, a.Lifetime > 0 && a.Lifetime <= MaxLife, a.Lifetime)
	})
}

// answerBodies are seeds: each is read in its own way.
var answerBodies = []string{
	`{"token_type":"Bearer","expires_in":3599,"access_token":"abc"}`,
	`{"access_token":"abc","expires_in":"","expires_on":"1795431600"}`,
	`{"access_token":"abc\n","token_type":"DPoP","expires_in":-1}`,
	"\xef\xbb\xbf" + `{"access_token":"abc","expires_in":9223372036854775807}`,
}
