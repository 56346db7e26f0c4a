package certtokentest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/certtokentest"
)

// An identity assertion of another issuer is for one client, which it must name
// (draft-ietf-oauth-identity-assertion-authz-grant §3). A plain assertion need not.
func TestIdentityAssertionNamesItsClient(t *testing.T) {
	for name, tt := range map[string]struct {
		typ    string
		client any
		status int
	}{
		"its client":           {"oauth-id-jag+jwt", clientID, 200},
		"another one":          {"oauth-id-jag+jwt", "other", 400},
		"none":                 {"oauth-id-jag+jwt", nil, 400},
		"a list":               {"oauth-id-jag+jwt", []string{clientID}, 400},
		"plain, of nobody":     {"JWT", nil, 200},
		"plain, of its client": {"JWT", clientID, 200},
		"plain, of another":    {"JWT", "other", 400},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, certtokentest.WithIssuer(""))
			f.srv.TrustIssuer("https://idp.example", f.cert.Leaf.PublicKey)
			own := f.draft()
			own.claims["aud"] = f.srv.Issuer()
			d := f.draft()
			d.header = map[string]any{"typ": tt.typ}
			d.claims = jwt.MapClaims{
				"iss": "https://idp.example", "sub": "ada", "aud": f.srv.Issuer(), "jti": "1",
				"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			}
			if tt.client != nil {
				d.claims["client_id"] = tt.client
			}
			r := f.post(url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "client_id": {clientID},
				"scope":            {"read"},
				"assertion":        {d.sign(t)},
				"client_assertion": {own.sign(t)}, "client_assertion_type": {kind},
			})
			assert.Equal(t, tt.status, r.status, r.text)
		})
	}
}
