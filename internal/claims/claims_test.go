package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		"both": {capabilities: cp1,
			claims: `{"access_token":{"nbf":{"value":"1"}},"id_token":{"x":null},"big":12345678901234567890}`,
			want: `{"access_token":{"nbf":{"value":"1"},"xms_cc":{"values":["cp1"]}},` +
				`"id_token":{"x":null},"big":12345678901234567890}`},
		"null": {claims: `{"access_token":null}`, capabilities: cp1,
			want: `{"access_token":{"xms_cc":{"values":["cp1"]}}}`},
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

func FuzzMergeClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"access_token":{"nbf":{"essential":true}}}`, `{"access_token":null}`, `[]`, `{"access_token":17}`,
	} {
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
