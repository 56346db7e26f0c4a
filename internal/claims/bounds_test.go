package claims

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The bounds of what is read of a 401, in the numbers that are documented.
func TestBoundsOfAChallenge(t *testing.T) {
	const asks = `Bearer error="invalid_token"`
	blanks := func(n int) string { return strings.Repeat(" ", n) }
	claimsOf := func(n int) string {
		object := `{"x":"` + strings.Repeat("x", n-len(`{"x":""}`)) + `"}`
		return `Bearer error="insufficient_claims", claims="` + base64.RawURLEncoding.EncodeToString(
			[]byte(object),
		) + `"`
	}
	for name, c := range map[string]struct{ kept, beyond string }{
		"64 KiB of header": {blanks(64<<10-len(asks)-1) + asks, blanks(64<<10-len(asks)) + asks},
		"16 challenges":    {strings.Repeat("Basic, ", 15) + asks, strings.Repeat("Basic, ", 16) + asks},
		"64 parameters": {
			"Bearer " + strings.Repeat("a=b, ", 63) + `error="invalid_token"`,
			"Bearer " + strings.Repeat("a=b, ", 64) + `error="invalid_token"`,
		},
		"32 KiB of a parameter": {
			`Bearer a="` + strings.Repeat("a", 32<<10) + `", error="invalid_token"`,
			`Bearer a="` + strings.Repeat("a", 32<<10+1) + `", error="invalid_token"`,
		},
		"16 KiB of claims": {claimsOf(16 << 10), claimsOf(16<<10 + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotZero(t, Read([]string{c.kept}, "Bearer"))
			assert.Zero(t, Read([]string{c.beyond}, "Bearer"))
		})
	}
}

// What is nearly a challenge is none, and nothing is read behind it.
func TestWhatIsNoChallenge(t *testing.T) {
	object := base64.StdEncoding.EncodeToString([]byte(`{"x":100}`))
	for name, header := range map[string]string{
		"claims that end in no base64":    `Bearer error="insufficient_claims", claims="` + object + `%%%"`,
		"a token68 right behind a scheme": `Negotiate/abc, Bearer error="invalid_token"`,
		"a parameter without a name":      `Bearer a=b, ="c", error="invalid_token"`,
		"a value that doesn't end":        `Bearer error="invalid_token`,
		"an equals sign for a token68":    `Bearer =, error="invalid_token"`,
		"a brace in a name":               `Bearer {=x, error="invalid_token"`,
		"a bracket in a name":             `Bearer [=x, error="invalid_token"`,
	} {
		t.Run(name, func(t *testing.T) { assert.Zero(t, Read([]string{header}, "Bearer")) })
	}
	const (
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		asks    = `Bearer error="invalid_token"`
	)
	for name, header := range map[string]string{
		"an empty value":           `Bearer x=y, a=, error="invalid_token"`,
		"a token68 of one padding": `Bearer a=, ` + asks,
		"an empty one at the end":  asks + `, a=`,
		"a value at the end":       `Bearer error=invalid_token`,
		"every sign of a scheme":   letters + "!#$%&'*+-.^_`|~, " + asks,
		"every sign of a name":     "Bearer " + letters + "!#$%&'*+-.^_`|~=x, error=invalid_token",
		"every sign of a token68":  `Negotiate ` + letters + `-._~+/==, ` + asks,
		"the first of a token68":   `Negotiate -, ` + asks,
		"blanks behind a token68":  `Negotiate abc== ` + "\t, " + asks,
		"a token68 without an end": asks + `, Negotiate abc`,
	} {
		t.Run(name, func(t *testing.T) { assert.True(t, Read([]string{header}, "Bearer").InvalidToken) })
	}
}

func TestCheckClaims(t *testing.T) {
	sized := func(n int) string { return `{"x":"` + strings.Repeat("x", n-len(`{"x":""}`)) + `"}` }
	for _, good := range []string{"", "{}", `{"x":null}`, sized(16 << 10)} {
		assert.NoError(t, Check(good))
	}
	for _, bad := range []string{"null", "[]", "x", `{"x"`, `""`, sized(16<<10 + 1)} {
		assert.Error(t, Check(bad))
	}
	for _, bad := range []string{"[]", "x", `{"x"`, `""`, `{"access_token":[]}`, `{"access_token":"x"}`} {
		_, err := WithCapabilities(bad, []string{"cp1"})
		assert.Error(t, err, bad)
	}
}
