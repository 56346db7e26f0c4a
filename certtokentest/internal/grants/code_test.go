package grants

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The example of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func TestRedeem(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tests := map[string]struct {
		change func(r *Redemption, codes *Codes)
		code   int
	}{
		"good":             {},
		"unknown":          {change: func(r *Redemption, _ *Codes) { r.Secret += "x" }, code: 70000},
		"as refresh token": {change: func(r *Redemption, _ *Codes) { r.Refresh = true }, code: 70000},
		"another client":   {change: func(r *Redemption, _ *Codes) { r.ClientID = "other" }, code: 70000},
		"another redirect": {
			change: func(r *Redemption, _ *Codes) { r.RedirectURI = "https://b.example" }, code: 500112,
		},
		"no verifier":      {change: func(r *Redemption, _ *Codes) { r.CodeVerifier = "" }, code: 50148},
		"another verifier": {change: func(r *Redemption, _ *Codes) { r.CodeVerifier = challenge }, code: 50148},
		"a verifier without a challenge": {
			change: func(r *Redemption, codes *Codes) {
				r.Secret = codes.New(Code{ClientID: "c", RedirectURI: "https://a.example"}, r.Now)
			}, code: 50148,
		},
		"at the last": {change: func(r *Redemption, _ *Codes) { r.Now = now.Add(codeLife - 1) }},
		"too late":    {change: func(r *Redemption, _ *Codes) { r.Now = now.Add(codeLife) }, code: 70008},
		"refresh":     {change: refresh(false, 0)},
		"refresh as code": {
			change: func(r *Redemption, c *Codes) { refresh(false, 0)(r, c); r.Refresh = false }, code: 70000,
		},
		"refresh too late":           {change: refresh(false, refreshLife), code: 700082},
		"a refresh token that stays": {change: refresh(true, 0)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var codes Codes
			request := Code{ClientID: "c", User: "u", RedirectURI: "https://a.example", CodeChallenge: challenge}
			r := Redemption{
				Secret: codes.New(request, now), ClientID: "c", RedirectURI: "https://a.example",
				CodeVerifier: verifier, Now: now,
			}
			if tt.change != nil {
				tt.change(&r, &codes)
			}
			code, _, refused := codes.Redeem(r)
			if tt.code != 0 {
				require.NotNil(t, refused)
				assert.Equal(t, tt.code, refused.Code)
				assert.Nil(t, code)
				return
			}
			require.Nil(t, refused)
			assert.Equal(t, "u", code.User)
			codes.Gave(code, "token")
			_, revoke, refused := codes.Redeem(r)
			switch {
			case r.Keep:
				assert.Nil(t, refused)
			case r.Refresh:
				require.NotNil(t, refused)
				assert.Empty(t, revoke)
			default:
				require.NotNil(t, refused)
				assert.Equal(t, []string{"token"}, revoke, "a code that comes again takes back what was given")
			}
		})
	}
}

// refresh redeems a refresh token instead, some time later.
func refresh(keep bool, later time.Duration) func(r *Redemption, codes *Codes) {
	return func(r *Redemption, codes *Codes) {
		r.Secret, r.Refresh, r.Keep = codes.NewRefresh(Code{ClientID: "c", User: "u"}, r.Now), true, keep
		r.Now = r.Now.Add(later)
	}
}
