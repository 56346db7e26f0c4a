package grants

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	return fields
}

// A token has the claims of one kind of server, and none of another's.
func TestClaimsOfProfiles(t *testing.T) {
	v1 := []string{"appid", "appidacr", "upn", "idp"}
	v2 := []string{"azp", "azpacr", "preferred_username"}
	entra := []string{"oid", "tid", "uti", "idtyp", "ver"}
	profile := []string{"client_id", "jti", "scope"}
	tests := map[string]struct {
		profile Profile
		user    string
		typ     string
		has     []string
		hasNot  [][]string
	}{
		"Entra ID v2.0": {EntraV2, "", "JWT", append([]string{"azp", "azpacr"}, entra...),
			[][]string{v1, profile, {"scp"}}},
		"Entra ID v2.0, of a user": {EntraV2, "u", "JWT", append(append([]string{"scp"}, v2...), entra...),
			[][]string{v1, profile}},
		"Entra ID v1.0": {EntraV1, "", "JWT", append([]string{"appid", "idp"}, entra...),
			[][]string{v2, profile, {"scp"}}},
		"Entra ID v1.0, of a user": {EntraV1, "u", "JWT", append([]string{"appid", "upn", "scp"}, entra...),
			[][]string{v2, profile}},
		"ADFS": {ADFS, "", "JWT", []string{"appid", "apptype", "scp"},
			[][]string{v2, profile, {"tid", "oid"}}},
		"RFC 9068":            {RFC9068, "", "at+jwt", profile, [][]string{v1, v2, entra, {"scp", "nbf"}}},
		"RFC 9068, of a user": {RFC9068, "u", "at+jwt", profile, [][]string{v1, v2, entra, {"scp"}}},
	}
	now := time.Unix(1_800_000_000, 0)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			token := Issuance{Profile: tt.profile, Issuer: "https://i.example", Tenant: "t", Now: now,
				Size: 900}.Sign(&Token{
				ClientID: "c", User: tt.user, Audiences: []string{"a"}, Scopes: []string{"s"},
				Expires: now.Add(time.Hour), Bound: "b",
			})
			claims := part(t, token, 1)
			assert.Equal(t, tt.typ, part(t, token, 0)["typ"])
			for _, claim := range append(tt.has, "iss", "aud", "iat", "exp", "cnf") {
				assert.Contains(t, claims, claim)
			}
			for _, others := range tt.hasNot {
				for _, claim := range others {
					assert.NotContains(t, claims, claim)
				}
			}
			assert.Equal(t, "a", claims["aud"])
			assert.GreaterOrEqual(t, len(token), 900)
		})
	}
}

func TestSeveralAudiences(t *testing.T) {
	token := Issuance{Profile: RFC9068}.Sign(&Token{Audiences: []string{"a", "b"}})
	assert.Equal(t, []any{"a", "b"}, part(t, token, 1)["aud"])
}

func TestTokensAreBounded(t *testing.T) {
	var tokens Tokens
	for i := range maxGrants + 1 {
		tokens.Add(string([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), &Token{})
	}
	assert.Len(t, tokens.known, maxGrants)
	_, ok := tokens.Find("\x00\x00\x00")
	assert.False(t, ok, "the oldest was forgotten")
	_, ok = tokens.Find("\x01\x00\x00")
	assert.True(t, ok)
}
