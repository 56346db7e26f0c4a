package proof

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func compact(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
}

// What no JWT library of a server agrees about is refused as a form, whatever is signed.
func TestStrictForm(t *testing.T) {
	const header, claims = `{"alg":"RS256","typ":"JWT","kid":"k"}`, `{"iss":"c","exp":1900000000,"x":{"y":1}}`
	for name, tt := range map[string]struct{ header, claims, want string }{
		"good":               {header, claims, ""},
		"alg twice":          {`{"alg":"none","alg":"RS256"}`, claims, `header: the member "alg" stands in it twice`},
		"sub twice":          {header, `{"sub":"a","sub":"b"}`, `claims: the member "sub" stands in it twice`},
		"twice by an escape": {header, `{"sub":"a","s\u0075b":"b"}`, `claims: the member "sub" stands in it twice`},
		"inside a member":    {header, `{"x":{"y":1,"y":2}}`, ""},
		"not UTF-8":          {header, "{\"x\":\"\xff\"}", "claims: not UTF-8"},
		"typ is a number":    {`{"alg":"RS256","typ":7}`, claims, `"typ" is not a string`},
		"kid is a list":      {`{"alg":"RS256","kid":["k"]}`, claims, `"kid" is not a string`},
		"x5t is null":        {`{"alg":"RS256","x5t":null}`, claims, `"x5t" is not a string`},
		"exp out of range":   {header, `{"exp":1e300}`, `"exp" is no time`},
		"nbf wraps around":   {header, `{"nbf":1e19}`, `"nbf" is no time`},
		"iat is far below":   {header, `{"iat":-1e300}`, `"iat" is no time`},
		"exp in ms":          {header, `{"exp":1900000000000}`, ""}, // the time limits say so
	} {
		t.Run(name, func(t *testing.T) {
			refused := Read(compact(tt.header, tt.claims)).checkForm()
			if tt.want == "" {
				assert.Nil(t, refused)
				return
			}
			require.NotNil(t, refused)
			assert.Equal(t, 50027, refused.Code)
			assert.Contains(t, refused.Description, tt.want)
		})
	}
}

// Each way to prove a client refuses critical parameters, which RFC 7515 §4.1.11 demands.
func TestCriticalParameters(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	rules := &Rules{Algorithms: []string{"RS256"}, Types: []string{""}}
	for _, crit := range []string{`["b64"]`, `["exp"]`, `[]`, `null`} {
		a := Read(compact(`{"alg":"RS256","b64":false,"crit":`+crit+`}`, `{"iss":"c","sub":"c"}`))
		federated, svid := &Client{}, &Client{}
		federated.Federate(Federation{Issuer: "c"})
		svid.TrustWorkload(Workload{ID: "c"})
		for name, verify := range map[string]func() bool{
			"own": func() bool {
				_, refused := (&Client{}).Verify(context.Background(), Presented{Assertion: a, ClientID: "c"},
					rules, &Used{}, now)
				return refused.Code == 5002726
			},
			"federated": func() bool {
				_, refused := federated.Verify(context.Background(), Presented{Assertion: a, ClientID: "d"},
					rules, &Used{}, now)
				return refused.Code == 5002726
			},
			"SVID": func() bool {
				_, refused := svid.Verify(context.Background(),
					Presented{Assertion: a, ClientID: "c", SVID: true}, rules, &Used{}, now)
				return refused.Code == 5002726
			},
			"issued": func() bool {
				return federated.VerifyIssued(Presented{Assertion: a}, rules, &Used{}, now).Code == 5002726
			},
		} {
			assert.True(t, verify(), "%s, crit %s", name, crit)
		}
	}
}
