package certtokentest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/certtokentest"
)

// Grants as other people's clients sign them: RFC 7523 §3 doesn't ask for a jti, and Google's
// service accounts leave sub out where they speak for nobody else.
func TestBearerGrants(t *testing.T) {
	alone := []certtokentest.Option{certtokentest.WithGrantOnly()}
	without := func(name string) func(*draft) { return func(d *draft) { delete(d.claims, name) } }
	for name, tt := range map[string]struct {
		opts   []certtokentest.Option
		change func(*draft)
		proves bool
		code   int
		again  int // the code when it comes again
	}{
		"whole":                    {opts: alone, again: 50027},
		"no jti":                   {opts: alone, change: without("jti")},
		"no jti, beside the proof": {change: without("jti"), proves: true},
		"jti is a number":          {opts: alone, change: func(d *draft) { d.claims["jti"] = 7 }, code: 50027},
		"no sub":                   {opts: alone, change: without("sub"), again: 50027},
		"no sub, beside the proof": {change: without("sub"), proves: true, code: 90014},
		"an empty sub":             {opts: alone, change: func(d *draft) { d.claims["sub"] = "" }, code: 90014},
		"no iss":                   {opts: alone, change: without("iss"), code: 700021},
		"no exp":                   {opts: alone, change: without("exp"), code: 50027},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, append(tt.opts, certtokentest.WithIssuer("https://issuer.example"))...)
			sign := func(change func(*draft)) string {
				d := f.draft()
				d.claims["aud"] = f.srv.Issuer()
				if change != nil {
					change(d)
				}
				return d.sign(t)
			}
			form := f.form()
			form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
			form.Set("scope", "read")
			form.Set("assertion", sign(tt.change))
			ask := func() int {
				for _, parameter := range []string{"client_id", "client_assertion_type", "client_assertion"} {
					form.Del(parameter)
				}
				if tt.proves {
					form.Set("client_id", clientID)
					form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
					form.Set("client_assertion", sign(nil))
				}
				f.post(form)
				return f.srv.LastRequest().Code
			}
			assert.Equal(t, tt.code, ask(), f.srv.LastRequest().Description)
			if tt.code == 0 {
				assert.Equal(t, tt.again, ask(), f.srv.LastRequest().Description)
			}
		})
	}
}
