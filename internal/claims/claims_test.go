package claims

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClaimsOf(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`
	std := base64.StdEncoding.EncodeToString([]byte(claims))
	raw := base64.RawURLEncoding.EncodeToString([]byte(claims))
	cases := map[string]struct {
		header []string
		want   string
	}{
		"Graph's":               {[]string{`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="x", error="insufficient_claims", claims="` + std + `"`}, claims},
		"parameters turned":     {[]string{`Bearer claims="` + std + `", error="insufficient_claims"`}, claims},
		"base64url, no padding": {[]string{`Bearer error="insufficient_claims", claims="` + raw + `"`}, claims},
		"unquoted":              {[]string{`Bearer error=insufficient_claims, claims=` + raw}, claims},
		"any case":              {[]string{`bearer ERROR="insufficient_claims" , Claims = "` + std + `"`}, claims},
		"second header":         {[]string{`PoP nonce="1"`, `Bearer error="insufficient_claims", claims="` + std + `"`}, claims},
		"second challenge":      {[]string{`Negotiate, Basic realm="a, b", Bearer error="insufficient_claims", claims="` + std + `"`}, claims},
		"after a token68":       {[]string{`Negotiate YII+abc/def==, Bearer error="insufficient_claims", claims="` + std + `"`}, claims},
		"another scheme":        {[]string{`PoP error="insufficient_claims", claims="` + std + `"`}, ""},
		"another error":         {[]string{`Bearer error="invalid_token", claims="` + std + `"`}, ""},
		"no claims":             {[]string{`Bearer error="insufficient_claims"`}, ""},
		"not base64":            {[]string{`Bearer error="insufficient_claims", claims="%%%"`}, ""},
		"not an object":         {[]string{`Bearer error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(`[1]`)) + `"`}, ""},
		"open quote":            {[]string{`Bearer error="insufficient_claims", claims="` + std}, ""},
		"huge":                  {[]string{`Bearer error="insufficient_claims", claims="` + strings.Repeat("A", 1<<20) + `"`}, ""},
		"nothing":               {nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, Asked(c.header))
		})
	}
}

func TestSaysInvalidToken(t *testing.T) {
	assert.True(t, InvalidToken([]string{`Bearer realm="x", error="invalid_token", error_description="The token expired"`}))
	assert.False(t, InvalidToken([]string{`Bearer realm="x"`}))
	assert.False(t, InvalidToken([]string{`DPoP error="invalid_token"`}))
}

func TestMergeCapabilities(t *testing.T) {
	cp1 := []string{"cp1"}
	cases := map[string]struct {
		claims       string
		capabilities []string
		want, err    string
	}{
		"nothing":           {},
		"claims only":       {claims: `{"a":1}`, want: `{"a":1}`},
		"capabilities only": {capabilities: cp1, want: `{"access_token":{"xms_cc":{"values":["cp1"]}}}`},
		"both": {claims: `{"access_token":{"nbf":{"value":"1"}},"id_token":{"x":null},"big":12345678901234567890}`, capabilities: cp1,
			want: `{"access_token":{"nbf":{"value":"1"},"xms_cc":{"values":["cp1"]}},"id_token":{"x":null},"big":12345678901234567890}`},
		"null":        {claims: `{"access_token":null}`, capabilities: cp1, want: `{"access_token":{"xms_cc":{"values":["cp1"]}}}`},
		"not objects": {claims: `{"access_token":[1]}`, capabilities: cp1, err: "JSON object"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := WithCapabilities(c.claims, c.capabilities)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			if c.want == "" {
				assert.Empty(t, got)
				return
			}
			assert.JSONEq(t, c.want, got)
		})
	}
}

func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ=="`,
		`Negotiate, Basic realm="a, \"b\"", Bearer error=invalid_token`,
		`Bearer`, `,,,`, `a=b`, `Bearer claims="`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		list := parseChallenges([]string{header, header})
		assert.LessOrEqual(t, len(list), maxChallenges)
		if claims := Asked([]string{header}); claims != "" {
			assert.NoError(t, Check(claims))
		}
		InvalidToken([]string{header})
	})
}

func FuzzMergeClaims(f *testing.F) {
	for _, seed := range []string{`{}`, `{"access_token":{"nbf":{"essential":true}}}`, `{"access_token":null}`, `[]`, `{"access_token":17}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		if Check(claims) != nil {
			return
		}
		merged, err := WithCapabilities(claims, []string{"cp1"})
		if err == nil {
			_, err := object([]byte(merged))
			assert.NoError(t, err)
			assert.Contains(t, merged, `"xms_cc":{"values":["cp1"]}`)
		}
	})
}
