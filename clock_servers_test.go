package certtoken_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// strictServer is an authorization server that looks at nothing but the times of an
// assertion, by a clock of its own.
type strictServer struct {
	ahead    time.Duration // its clock before ours
	takes    time.Duration // from the request to its Date
	answers  time.Duration // from its Date to our reading it
	oldest   time.Duration // iat: that it may be old; 0: it doesn't care
	newest   time.Duration // iat and nbf: that they may be ahead
	farthest time.Duration // exp: that it may be ahead; 0: it doesn't care
	skew     time.Duration // exp: that it may be over
	status   int
	body     string

	requests int
}

func (s *strictServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.requests++
	time.Sleep(s.takes)
	now := time.Now().Add(s.ahead)
	status, answer := http.StatusOK, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`
	if !s.accepts(form.Get("client_assertion"), now) {
		status, answer = s.status, s.body
	}
	time.Sleep(s.answers)
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {now.UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader([]byte(answer))),
	}, nil
}

func (s *strictServer) accepts(assertion string, now time.Time) bool {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return false
	}
	var times struct{ Iat, Nbf, Exp int64 }
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(claims, &times) != nil {
		return false
	}
	iat, nbf, exp := time.Unix(times.Iat, 0), time.Unix(times.Nbf, 0), time.Unix(times.Exp, 0)
	return (s.oldest == 0 || now.Sub(iat) <= s.oldest) &&
		iat.Sub(now) <= s.newest && nbf.Sub(now) <= s.newest &&
		(s.farthest == 0 || exp.Sub(now) <= s.farthest) &&
		now.Sub(exp) <= s.skew
}

var someIssuer = certtoken.Issuer("https://as.example", "https://as.example/token")

const invalidClient = `{"error":"invalid_client","error_description":"Client authentication failed"}`

// strictServers have the limits of servers that exist. All of them send a Date, as a
// proxy before Keycloak does; Keycloak itself doesn't, and is certtokentest.LikeKeycloak.
var strictServers = map[string]strictServer{
	"Keycloak behind a proxy": {
		oldest: 60 * time.Second, newest: 15 * time.Second, skew: 15 * time.Second, status: 400, body: invalidClient,
	},
	"the same without skew": {oldest: 60 * time.Second, status: 400, body: invalidClient},
	"exp within 300 s": {
		oldest: 300 * time.Second, farthest: 300 * time.Second, status: 401, body: invalidClient,
	},
	"exp within 600 s":      {farthest: 600 * time.Second, status: 401, body: invalidClient},
	"nbf up to 8 s ahead":   {newest: 8 * time.Second, farthest: 300 * time.Second, status: 400, body: invalidClient},
	"an empty 403":          {farthest: 600 * time.Second, status: 403},
	"an empty 401":          {farthest: 600 * time.Second, status: 401},
	"500 for an iat ahead":  {farthest: 600 * time.Second, status: 500, body: `{"error":"error"}`},
	"401 with its own code": {farthest: 600 * time.Second, status: 401, body: `{"error":"jwt_expired"}`},
	"slow to look":          {oldest: 60 * time.Second, takes: 4 * time.Second, status: 400, body: invalidClient},
	"slow to answer":        {oldest: 60 * time.Second, answers: 9 * time.Second, status: 400, body: invalidClient},
	"slow before and behind": {
		oldest: 60 * time.Second, takes: 4 * time.Second, answers: 5 * time.Second, status: 400, body: invalidClient,
	},
}

// A default client gets its token from each of them whatever this machine's clock
// says, within five minutes, by at most one more request; the next one needs none.
func TestClockSkewAtStrictServers(t *testing.T) {
	cert := freeCertificate(t, certtokentest.WithValidity(time.Unix(0, 0), time.Unix(1<<33, 0)))
	for name, server := range strictServers {
		t.Run(name, func(t *testing.T) {
			for skew := -5 * time.Minute; skew <= 5*time.Minute; skew += 7500 * time.Millisecond {
				t.Run(skew.String(), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						srv := server
						srv.ahead = skew
						client, err := certtoken.NewClient(someIssuer, clientID, cert,
							certtoken.WithHTTPClient(&http.Client{Transport: &srv}))
						require.NoError(t, err)
						defer client.Close()
						token, err := client.Token(t.Context(), "a")
						require.NoError(t, err)
						assert.LessOrEqual(t, srv.requests, 2)
						assert.InDelta(
							t,
							time.Hour.Seconds(),
							time.Until(token.ExpiresAt()).Seconds(),
							15,
							"its life is by our clock",
						)

						before := srv.requests
						_, err = client.Token(t.Context(), "b")
						require.NoError(t, err)
						assert.Equal(t, 1, srv.requests-before)
					})
				})
			}
		})
	}
}

// What isn't the clock's fault costs no further request, and a server isn't followed
// wherever it says that it is.
func TestClockIsNotCorrectedElsewhere(t *testing.T) {
	cert := freeCertificate(t, certtokentest.WithValidity(time.Unix(0, 0), time.Unix(1<<33, 0)))
	for name, c := range map[string]struct {
		ahead    time.Duration
		status   int
		body     string
		requests int
	}{
		"the clocks agree":  {status: 401, body: invalidClient, requests: 1},
		"nearly":            {ahead: 4 * time.Second, status: 401, body: invalidClient, requests: 1},
		"they differ":       {ahead: time.Minute, status: 401, body: invalidClient, requests: 2},
		"by too much":       {ahead: 6 * time.Minute, status: 401, body: invalidClient, requests: 1},
		"by too much, back": {ahead: -6 * time.Minute, status: 401, body: invalidClient, requests: 1},
		"another refusal":   {ahead: time.Minute, status: 400, body: `{"error":"invalid_scope"}`, requests: 1},
		"a scope that is forbidden": {
			ahead: time.Minute, status: 403, body: `{"error":"unauthorized_client"}`, requests: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := &strictServer{
					ahead:  c.ahead,
					newest: -time.Hour,
					status: c.status,
					body:   c.body,
				} // refuses everything
				client, err := certtoken.NewClient(someIssuer, clientID, cert,
					certtoken.WithHTTPClient(&http.Client{Transport: srv}))
				require.NoError(t, err)
				defer client.Close()
				_, err = client.Token(t.Context(), "a")
				var refused *certtoken.TokenError
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, c.requests, srv.requests)
			})
		})
	}
}

// The times of a default assertion, by authority.
func TestTimesOfAssertions(t *testing.T) {
	cert := freeCertificate(t, certtokentest.WithValidity(time.Unix(0, 0), time.Unix(1<<33, 0)))
	const issuer, endpoint = "https://as.example", "https://as.example/token"
	for name, c := range map[string]struct {
		authority   certtoken.Authority
		back, lives time.Duration
	}{
		"Entra":     {certtoken.Entra(tenantID), 2 * time.Minute, 5 * time.Minute},
		"elsewhere": {certtoken.Issuer(issuer, endpoint), 30 * time.Second, time.Minute},
		"as set": {
			certtoken.Issuer(issuer, endpoint, certtoken.WithBackdate(10*time.Second),
				certtoken.WithLifetime(2*time.Minute)),
			10 * time.Second, 2 * time.Minute,
		},
		"not set back": {certtoken.Issuer(issuer, endpoint, certtoken.WithBackdate(0)), 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var wire recorder
				client, err := certtoken.NewClient(c.authority, clientID, cert,
					certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
				require.NoError(t, err)
				defer client.Close()
				_, err = client.Token(t.Context(), "https://api.example/.default")
				require.Error(t, err)
				_, claims := decodedJWT(t, wire.form.Get("client_assertion"))
				var times struct{ Iat, Nbf, Exp int64 }
				require.NoError(t, json.Unmarshal(claims, &times))
				now := time.Now().Unix()
				assert.Equal(t, now-int64(c.back.Seconds()), times.Iat, "iat")
				assert.Equal(t, times.Iat, times.Nbf)
				assert.Equal(t, now+int64(c.lives.Seconds()), times.Exp, "exp")
			})
		})
	}
}
