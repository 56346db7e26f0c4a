package claims

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const wanted = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"},"q":"??>>"}}`

func TestClaimsOf(t *testing.T) {
	std := base64.StdEncoding.EncodeToString([]byte(wanted))
	raw := base64.RawURLEncoding.EncodeToString([]byte(wanted))
	asks := `Bearer error="insufficient_claims", claims="` + std + `"`
	second := `Bearer error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString(
		[]byte(`{"x":1}`),
	) + `"`
	graph := `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", client_id="x", `
	arm := `Bearer authorization_uri="https://login.example/x", error="invalid_token", error_description="The user's ` +
		`session, \"x\", changed.", claims="` + std + `"`
	claims, invalid := Challenge{Claims: wanted}, Challenge{InvalidToken: true}
	for name, c := range map[string]struct {
		header []string
		want   Challenge
	}{
		"Microsoft Graph":            {[]string{graph + `error="insufficient_claims", claims="` + std + `"`}, claims},
		"Azure Resource Manager":     {[]string{arm}, Challenge{Claims: wanted, InvalidToken: true}},
		"parameters turned":          {[]string{`Bearer claims="` + std + `", error="insufficient_claims"`}, claims},
		"base64url without padding":  {[]string{`Bearer error="insufficient_claims", claims="` + raw + `"`}, claims},
		"not quoted":                 {[]string{`Bearer error=insufficient_claims, claims=` + raw}, claims},
		"not quoted, with padding":   {[]string{`Bearer error=insufficient_claims, claims=` + std}, claims},
		"names in any case":          {[]string{`bearer ERROR="insufficient_claims" , Claims = "` + std + `"`}, claims},
		"escapes":                    {[]string{`Bearer error="insufficient\_claims", claims="` + std + `"`}, claims},
		"without commas":             {[]string{`Bearer error="insufficient_claims" claims="` + std + `"`}, claims},
		"second line":                {[]string{`PoP nonce="1"`, asks}, claims},
		"after two others":           {[]string{`Negotiate, Basic realm="a, b", ` + asks}, claims},
		"after a token68":            {[]string{`Negotiate YII+abc/def==, ` + asks}, claims},
		"before others":              {[]string{asks + `, Basic realm="x", Negotiate abc==, PoP nonce="x"`}, claims},
		"second of Bearer":           {[]string{`Bearer realm="x", ` + asks}, claims},
		"two of Bearer with claims":  {[]string{asks, second}, claims},
		"the first has broken ones":  {[]string{`Bearer error="insufficient_claims", claims="%"`, asks}, claims},
		"empty list elements":        {[]string{`, ,` + asks + `, ,`}, claims},
		"sixteenth":                  {[]string{strings.Repeat(`Basic realm="x", `, 15) + asks}, claims},
		"a scheme like a parameter":  {[]string{`error="insufficient_claims", claims="` + std + `"`}, Challenge{}},
		"another scheme":             {[]string{`PoP error="insufficient_claims", claims="` + std + `"`}, Challenge{}},
		"another error":              {[]string{`Bearer error="x", claims="` + std + `"`}, Challenge{}},
		"an error of another scheme": {[]string{`Bearer, PoP error="invalid_token"`}, Challenge{}},
		"no claims":                  {[]string{`Bearer error="insufficient_claims"`}, Challenge{}},
		"no base64":                  {[]string{`Bearer error="insufficient_claims", claims="%%%"`}, Challenge{}},
		"no object":                  {[]string{`Bearer error="insufficient_claims", claims="WzFd"`}, Challenge{}},
		"open quote":                 {[]string{`Bearer error="insufficient_claims", claims="` + std}, Challenge{}},
		"open escape":                {[]string{`Bearer error="invalid_token\`}, Challenge{}},
		"nothing":                    {nil, Challenge{}},
		"scheme alone":               {[]string{`Bearer`}, Challenge{}},
		"invalid token":              {[]string{`Bearer realm="x", error="invalid_token"`}, invalid},
		"invalid, with broken ones":  {[]string{`Bearer error="invalid_token", claims="%"`}, invalid},
		"invalid, and asks": {
			[]string{`Bearer error="invalid_token", ` + asks}, Challenge{Claims: wanted, InvalidToken: true},
		},
		"the first of two errors": {[]string{`Bearer error="x", error="invalid_token"`}, Challenge{}},
		"invalid for DPoP":        {[]string{`DPoP error="invalid_token"`}, Challenge{}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, Read(c.header, "Bearer"))
		})
	}
}

// What is beyond a bound is not read. Each case is accepted where the bound is just kept.
func TestBounds(t *testing.T) {
	const asks = `Bearer error="invalid_token"`
	for name, c := range map[string]struct {
		kept, beyond []string
	}{
		"challenges": {
			[]string{strings.Repeat("Basic, ", maxChallenges-1) + asks},
			[]string{strings.Repeat("Basic, ", maxChallenges) + asks},
		},
		"challenges in several lines": {
			append(repeated("Basic", maxChallenges-1), asks),
			append(repeated("Basic", maxChallenges), asks),
		},
		"parameters": {
			[]string{"Bearer " + strings.Repeat(`a=b, `, maxParameters-1) + `error="invalid_token"`},
			[]string{"Bearer " + strings.Repeat(`a=b, `, maxParameters) + `error="invalid_token"`},
		},
		"length of a parameter": {
			[]string{`Bearer x="` + strings.Repeat("a", maxValue) + `", error="invalid_token"`},
			[]string{`Bearer x="` + strings.Repeat("a", maxValue+1) + `", error="invalid_token"`},
		},
		"bytes": {
			[]string{strings.Repeat(" ", maxHeader-len(asks)-1) + asks},
			[]string{strings.Repeat(" ", maxHeader-len(asks)) + asks},
		},
		"bytes of several lines": {
			[]string{strings.Repeat(" ", maxHeader-len(asks)-2), asks},
			[]string{strings.Repeat(" ", maxHeader-len(asks)-1), asks},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.True(t, Read(c.kept, "Bearer").InvalidToken)
			assert.Zero(t, Read(c.beyond, "Bearer"))
		})
	}
}

func repeated(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// absurd are headers that a hostile server can send where 10 MB of them are allowed,
// which is what net/http allows by default.
func absurd(size int) map[string][]string {
	fill := func(s string) []string { return []string{"Bearer " + strings.Repeat(s, size/len(s))} }
	return map[string][]string{
		"parameters":      fill(`a="b", `),
		"names":           fill(`a`),
		"challenges":      fill(`Basic, `),
		"token68":         fill(`Negotiate abc==, `),
		"blanks":          fill(` `),
		"commas":          fill(`,`),
		"escapes":         fill(`\"`),
		"quotes":          fill(`"`),
		"equals":          fill(`=`),
		"names and blank": fill(`a `),
		"open quote":      fill(`a="b`),
		"lines":           repeated(`Bearer a="b"`, size/12),
		"empty lines":     repeated(``, size/12),
	}
}

// A response costs a bounded amount of work, however much it sends. What is allocated
// stands for the work: the bytes that are read at most, and a little for each challenge.
func TestAbsurdChallengesCostLittle(t *testing.T) {
	for name, header := range absurd(10 << 20) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			Read(header, "Bearer")
			runtime.ReadMemStats(&after)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*maxHeader))
		})
	}
}

func BenchmarkRead(b *testing.B) {
	b.Run("Graph", func(b *testing.B) {
		header := []string{`Bearer realm="", authorization_uri="https://login.example/", client_id="x", ` +
			`error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(wanted)) + `"`}
		for b.Loop() {
			Read(header, "Bearer")
		}
	})
	for name, header := range absurd(10 << 20) {
		b.Run("10 MB of "+name, func(b *testing.B) {
			for b.Loop() {
				Read(header, "Bearer")
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="`,
		`Bearer authorization_uri="https://x/", error="invalid_token", claims="eyJhIjoxfQ=="`,
		`Negotiate YII+abc/def==, Basic realm="a, \"b\"", Bearer error=invalid_token`,
		`Bearer`, `,,,`, `a=b`, `Bearer claims="`, `Bearer a=b c=d`, `Negotiate a==b, Bearer x`, `Bearer =`,
		`Bearer a = "b\`,
	} {
		f.Add(seed, seed)
	}
	for _, header := range absurd(256) {
		f.Add(header[0], header[len(header)-1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		list := parse([]string{first, second})
		assert.LessOrEqual(t, len(list), maxChallenges)
		for _, ch := range list {
			assert.NotEmpty(t, ch.scheme)
			assert.LessOrEqual(t, len(ch.parameters), maxParameters)
			for name, value := range ch.parameters {
				assert.Equal(t, strings.ToLower(name), name)
				assert.LessOrEqual(t, len(value), maxValue)
			}
		}
		if c := Read([]string{first, second}, "Bearer"); c.Claims != "" {
			assert.NoError(t, Check(c.Claims))
		}
	})
}

// Challenges that are written by the grammar are read as they were meant.
func FuzzReadWhatWasWritten(f *testing.F) {
	f.Add("Bearer", "realm", `a "b" \c, d=e`, "error", "invalid_token")
	f.Add("Negotiate", "a", "", "b", "\t")
	f.Fuzz(func(t *testing.T, scheme, name1, value1, name2, value2 string) {
		for _, name := range []string{scheme, name1, name2} {
			if cut, rest := cutName(name); cut == "" || rest != "" {
				t.Skip("not a name")
			}
		}
		if len(value1)+len(value2) > maxValue {
			t.Skip("beyond the bound")
		}
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		line := fmt.Sprintf(`Basic abc==, %s %s="%s" , %s = "%s", Other`,
			scheme, name1, quote.Replace(value1), name2, quote.Replace(value2))
		parameters := map[string]string{strings.ToLower(name2): value2}
		parameters[strings.ToLower(name1)] = value1
		assert.Equal(t, []challenge{{"Basic", nil}, {scheme, parameters}, {"Other", nil}}, parse([]string{line}))
	})
}

// A header may hold challenges of both schemes. Those of the token's own count.
func TestReadOfBothSchemes(t *testing.T) {
	const (
		wantsNonce = `DPoP error="use_dpop_nonce", error_description="a nonce, please", algs="ES256 PS256"`
		invalid    = `DPoP error="invalid_token", algs="ES256"`
		noError    = `DPoP algs="ES256"`
	)
	refused := Challenge{InvalidToken: true}
	for name, c := range map[string]struct {
		header []string
		dpop   Challenge
		bearer Challenge
	}{
		"nonce":         {[]string{wantsNonce}, Challenge{UseNonce: true}, Challenge{}},
		"Bearer, nonce": {[]string{"Bearer, " + wantsNonce}, Challenge{UseNonce: true}, Challenge{}},
		"nonce, Bearer": {[]string{wantsNonce + `, Bearer realm="a"`}, Challenge{UseNonce: true},
			Challenge{}},
		"on two lines":            {[]string{`Bearer realm="a"`, wantsNonce}, Challenge{UseNonce: true}, Challenge{}},
		"any case":                {[]string{`dpop error=use_dpop_nonce`}, Challenge{UseNonce: true}, Challenge{}},
		"invalid":                 {[]string{invalid}, refused, Challenge{}},
		"invalid beside Bearer":   {[]string{"Bearer", invalid}, refused, Challenge{}},
		"only Bearer":             {[]string{`Bearer error="invalid_token"`}, refused, refused},
		"Bearer refuses, no DPoP": {[]string{`Bearer error="invalid_token"`, noError}, Challenge{}, refused},
		"Bearer wants a nonce":    {[]string{`Bearer error="use_dpop_nonce"`}, Challenge{UseNonce: true}, Challenge{}},
		"another scheme":          {[]string{`Basic error="use_dpop_nonce"`}, Challenge{}, Challenge{}},
		"bad proof":               {[]string{`DPoP error="invalid_dpop_proof"`}, Challenge{}, Challenge{}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.dpop, Read(c.header, "DPoP"))
			assert.Equal(t, c.bearer, Read(c.header, "Bearer"))
			assert.Equal(t, c.bearer, Read(c.header, "mtls_pop"))
		})
	}
	with := `DPoP error="insufficient_claims", claims="eyJhIjoxfQ"`
	assert.Equal(t, `{"a":1}`, Read([]string{"Bearer", with}, "DPoP").Claims)
}
