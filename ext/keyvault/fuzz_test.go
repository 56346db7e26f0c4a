package keyvault

import (
	"strings"
	"testing"
)

// FuzzKeyID: what a vault names as its key is taken only if it is of this vault.
func FuzzKeyID(f *testing.F) {
	const vault = "https://contoso.vault.azure.net"
	for _, seed := range []string{
		vault + "/keys/app/0123456789abcdef", "https://evil.example/keys/app/1", vault + "@evil.example/keys/app/1",
		vault + "/keys/app", vault + "/keys/../secrets/app/1", "", "%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		key, version, err := parseKeyID(vault, id)
		if err != nil {
			return
		}
		if key == "" || version == "" || strings.ContainsAny(key+version, "/?#\n\r") {
			t.Fatalf("%q: key %q, version %q", id, key, version)
		}
	})
}
