package keyvault

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// What a vault may answer as a key, and what is said of it.
func TestKeyAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		want error // nil: a key that signs
		text string
	}{
		"rsa": {}, "rsahsm": {}, "p256": {}, "p384": {}, "p521": {},
		"small":      {certtoken.ErrKeySize, ""},
		"nomodulus":  {certtoken.ErrFormat, "modulus or exponent"},
		"wide":       {certtoken.ErrFormat, "modulus or exponent"},
		"offcurve":   {certtoken.ErrFormat, "not on P-256"},
		"shortpoint": {certtoken.ErrFormat, "not on P-256"},
		"longpoint":  {certtoken.ErrFormat, "not on P-256"},
		"koblitz":    {certtoken.ErrUnsupported, `"P-256K"`},
		"oct":        {certtoken.ErrUnsupported, `"oct-HSM"`},
		"notype":     {certtoken.ErrUnsupported, `the type ""`},
		"disabled":   {ErrDisabled, "version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", "key", name))
			require.NoError(t, err)
			source, err := FromKey(fuzzedVault, "app", bearer{}, answering(http.StatusOK, body), WithoutCertificate())
			require.NoError(t, err)
			cert, err := source.Certificate(t.Context())
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				assert.ErrorContains(t, err, c.text)
				return
			}
			require.NoError(t, err)
			assert.Nil(t, cert.Leaf)
			assert.Equal(t, "keyvault.Source("+fuzzedVault+"/keys/app)", source.String())
		})
	}
	for name, text := range map[string]string{"elsewhere": "isn't in this vault", "nokey": "is it a vault?"} {
		body, err := os.ReadFile(filepath.Join("testdata", "key", name))
		require.NoError(t, err)
		source, err := FromKey(fuzzedVault, "app", bearer{}, answering(http.StatusOK, body), WithoutCertificate())
		require.NoError(t, err)
		_, err = source.Certificate(t.Context())
		assert.ErrorContains(t, err, text)
	}
}

func TestIsManagedHSM(t *testing.T) {
	for address, want := range map[string]bool{
		"https://contoso.managedhsm.azure.net": true, "https://Contoso.ManagedHSM.Azure.net/": true,
		"https://contoso.managedhsm.azure.cn": true, "https://contoso.managedhsm.usgovcloudapi.net": true,
		"https://contoso.vault.azure.net": false, "https://managedhsm.azure.net": false,
		"https://contoso.managedhsm.azure.net.evil.example": false,
		"https://evil.example/a.managedhsm.azure.net":       false,
		"%zz": false, "": false,
	} {
		assert.Equal(t, want, isManagedHSM(address), address)
	}
}
