package certfile

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFIPSMode runs TestInFIPSMode where only FIPS 140 algorithms are allowed,
// which a process can't change after its start.
func TestFIPSMode(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("TestInFIPSMode runs in this process")
	}
	if testing.Short() {
		t.Skip("runs another process: not with -short")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestInFIPSMode$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestInFIPSMode")
}

func TestInFIPSMode(t *testing.T) {
	if !fips140.Enforced() {
		t.Skip("run by TestFIPSMode")
	}
	k := testKeys(t)
	allowed := []string{
		"PBES2 AES-128-CBC", "PBES2 AES-192-CBC", "PBES2 AES-256-CBC", "PBKDF2 with a key length",
		"PBKDF2 HMAC-SHA-224",
		"PBKDF2 HMAC-SHA-256", "PBKDF2 HMAC-SHA-384", "PBKDF2 HMAC-SHA-512",
		"PBKDF2 HMAC-SHA-512/224", "PBKDF2 HMAC-SHA-512/256",
	}
	var all map[string]encryption
	fips140.WithoutEnforcement(func() { all = schemes(testPassword, 2) })
	for name, e := range all {
		var data, pem, traditional []byte
		fips140.WithoutEnforcement(func() {
			data = pfxFile(modernMAC(testPassword, 2), encryptedSafeOf(e, certBag(k.leaf.Raw)),
				plainSafe(shroudedBag(e, k.pkcs8)))
			pem = append(pemCert(k.leaf), pemOf("ENCRYPTED PRIVATE KEY", e.shroud(k.pkcs8))...)
		})
		traditional = append(pemCert(k.leaf), "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-128-CBC,00\n\n"+
			"AAAA\n-----END RSA PRIVATE KEY-----\n"...)
		if slices.Contains(allowed, name) {
			requirePair(t, k, data, withPassword(testPassword))
			requirePair(t, k, pem, withPassword(testPassword))
			continue
		}
		for _, file := range [][]byte{data, pem, traditional} {
			_, err := Parse(file, withPassword(testPassword))
			require.ErrorIs(t, err, ErrUnsupported, name)
			require.ErrorContains(t, err, "FIPS 140 mode", name)
		}
	}
	for name, id := range digests {
		var data []byte
		fips140.WithoutEnforcement(func() {
			data = pfxFile(pkcs12MAC(id, bmpString(testPassword), 2), plainSafe(certBag(k.leaf.Raw), keyBag(k.pkcs8)))
		})
		_, err := Parse(data, withPassword(testPassword))
		if name == "MD5" || name == "SHA-1" {
			require.ErrorIs(t, err, ErrUnsupported, name)
			require.ErrorContains(t, err, name)
		} else {
			require.NoError(t, err, name)
		}
	}
	for _, c := range curveCases(t) {
		for name, der := range c.ecForms() {
			pair, err := Parse(c.cert.Raw, Options{Key: der})
			require.NoError(t, err, "%s, %s", c.name, name)
			requireWholeKey(t, pair.Key)
		}
	}
	key, cert := newEd25519(t)
	for name, der := range edForms(key) {
		pair, err := Parse(cert.Raw, Options{Key: der})
		require.NoError(t, err, name)
		requireWholeKey(t, pair.Key)
	}
	_, err := Parse(pemCert(k.leaf), Options{Thumbprint: strings.Repeat("0", 40)})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = Parse(append(pems(k.leaf, k.other),
		append(pemOf("PRIVATE KEY", k.pkcs8), pemOf("PRIVATE KEY", k.otherPKCS8)...)...), Options{})
	require.ErrorIs(t, err, ErrSeveralKeys)
	assert.ErrorContains(t, err, "SHA-256")

	for file, password := range corpusCases(t) {
		data, err := os.ReadFile(filepath.Join("testdata/corpus", file))
		require.NoError(t, err)
		// The right password everywhere; one that may be wrong only where that
		// isn't the same long derivation once more.
		passwords := []string{password}
		if affordable(data, "", fuzzRounds) {
			passwords = append(passwords, "", "secret")
		} else if testing.Short() {
			continue
		}
		for _, password := range passwords {
			pair, err := Parse(data, withPassword(password))
			assert.NotEqual(t, pair == nil, err == nil, file)
		}
	}
}
