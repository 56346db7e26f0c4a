package certfile

import (
	"bytes"
	"crypto/fips140"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// misnamed writes a cipher by the name of another one, as old NSS does.
func misnamed(kdf kdfRecipe, named, used string) encryption {
	e := pbes2(kdf, used)
	e.alg = seq(oid(oidPBES2), seq(kdf.alg, seq(oid(named), octets([]byte("0123456789abcdef")))))
	return e
}

// wrappedTwice writes parameters as Java did before JDK-8202837 was mended.
func wrappedTwice(e encryption) encryption {
	inner, _, err := derOf(e.alg)
	if err != nil {
		panic(err)
	}
	e.alg = seq(oid(oidPBES2), inner)
	return e
}

// longer puts bytes behind what is encrypted.
func longer(e encryption, behind ...byte) encryption {
	encrypt := e.encrypt
	e.encrypt = func(plain []byte) []byte { return encrypt(append(bytes.Clone(plain), behind...)) }
	return e
}

// What other programs write and read although it isn't right.
func TestStrangeEncryptions(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	utf8, bmp := []byte(testPassword), bmpString(testPassword)
	kdf := func(password []byte, keyLen int) kdfRecipe { return pbkdf2Recipe(oidHMACSHA256, password, 2, keyLen) }
	for name, e := range map[string]encryption{
		"AES-256 by the name of AES-128":     misnamed(kdf(utf8, 32), oidAES128CBC, oidAES256CBC),
		"AES-256 by the name of AES-192":     misnamed(kdf(utf8, 32), oidAES192CBC, oidAES256CBC),
		"AES-192 by the name of AES-128":     misnamed(kdf(utf8, 24), oidAES128CBC, oidAES192CBC),
		"AES-128 by the name of AES-256":     misnamed(kdf(utf8, 16), oidAES256CBC, oidAES128CBC),
		"misnamed, password in UTF-16":       misnamed(kdf(bmp, 32), oidAES128CBC, oidAES256CBC),
		"wrapped twice":                      wrappedTwice(modern(testPassword, 2)),
		"wrapped twice, AES-128":             wrappedTwice(pbes2(kdf(utf8, 16), oidAES128CBC)),
		"wrapped twice and misnamed":         wrappedTwice(misnamed(kdf(utf8, 32), oidAES128CBC, oidAES256CBC)),
		"a byte behind":                      longer(modern(testPassword, 2), 0),
		"a block behind":                     longer(modern(testPassword, 2), make([]byte, 16)...),
		"bytes that could be padding behind": longer(modern(testPassword, 2), 3, 3, 3),
	} {
		t.Run(name, func(t *testing.T) {
			mac := modernMAC(testPassword, 2)
			safes := [][]byte{encryptedSafeOf(e, certBag(k.leaf.Raw)), plainSafe(shroudedBag(e, k.pkcs8))}
			for form, data := range map[string][]byte{
				"PFX":     pfxFile(mac, safes...),
				"no MAC":  pfxFile(nil, safes...),
				"BER":     toBER(pfxFile(nil, safes...)),
				"nested":  pfxFile(mac, encryptedSafeOf(e, nestedBag(certBag(k.leaf.Raw), shroudedBag(e, k.pkcs8)))),
				"one bag": pfxFile(mac, encryptedSafeOf(e, certBag(k.leaf.Raw), keyBag(k.pkcs8))),
			} {
				requirePair(t, k, data, withPassword(testPassword))
				_, err := Parse(data, withPassword("wrong"))
				require.ErrorIs(t, err, ErrWrongPassword, form)
				_, err = Parse(data, Options{})
				require.ErrorIs(t, err, ErrPasswordRequired, form)
			}
			if strings.Contains(name, "UTF-16") {
				return // inside PFX only
			}
			key := Options{Key: e.shroud(k.pkcs8), Password: testPassword, HasPassword: true}
			requirePair(t, k, k.leaf.Raw, key)
		})
	}
	twice := wrappedTwice(wrappedTwice(modern(testPassword, 2)))
	_, err := Parse(pfxFile(nil, encryptedSafeOf(twice, certBag(k.leaf.Raw))), withPassword(testPassword))
	assert.ErrorIs(t, err, ErrFormat, "wrapped three times")
}

// A PFX that Windows protects to accounts has its password in a secret bag.
func TestPFXProtectedToGroup(t *testing.T) {
	k := testKeys(t)
	e := modern("random", 2)
	secret := bag(oidSecretBag, seq(oid(oidGroupSecret), explicit0(octets([]byte("DPAPI-NG")))))
	safes := [][]byte{plainSafe(secret), encryptedSafeOf(e, certBag(k.leaf.Raw)), plainSafe(shroudedBag(e, k.pkcs8))}
	for name, mac := range map[string]macRecipe{"MAC": modernMAC("random", 2), "no MAC": nil} {
		data := pfxFile(mac, safes...)
		_, err := Parse(data, Options{})
		require.ErrorIs(t, err, ErrPasswordRequired, name)
		assert.ErrorContains(t, err, "-ProtectTo", name)
		_, err = Parse(data, withPassword("mine"))
		require.ErrorIs(t, err, ErrWrongPassword, name)
		assert.ErrorContains(t, err, "-ProtectTo", name)
		requirePair(t, k, data, withPassword("random"))
	}
	other := bag(oidSecretBag, seq(oid("1.2.3"), explicit0(octets(nil))))
	_, err := Parse(pfxFile(modernMAC("random", 2), plainSafe(other)), Options{})
	require.ErrorIs(t, err, ErrPasswordRequired)
	assert.NotContains(t, err.Error(), "-ProtectTo")
}

// A password that is given where the file has the empty one is wrong, and the
// error says which is right.
func TestPFXWithEmptyPassword(t *testing.T) {
	k := testKeys(t)
	for name, e := range map[string]encryption{
		"PBES2": modern("", 2),
		"3DES":  pkcs12PBE(oidPKCS123DES, bmpString(""), 2),
	} {
		if name == "3DES" && fips140.Enforced() {
			continue
		}
		safes := [][]byte{encryptedSafeOf(e, certBag(k.leaf.Raw)), plainSafe(shroudedBag(e, k.pkcs8))}
		for form, mac := range map[string]macRecipe{"MAC": modernMAC("", 2), "no MAC": nil} {
			data := pfxFile(mac, safes...)
			_, err := Parse(data, withPassword(testPassword))
			require.ErrorIs(t, err, ErrWrongPassword, name, form)
			assert.ErrorContains(t, err, "is empty", name, form)
			requirePair(t, k, data, Options{})
			requirePair(t, k, data, withPassword(""))
		}
	}
	_, err := Parse(pfxFile(claimMAC(maxTotalRounds/2), plainSafe()), withPassword(testPassword))
	require.ErrorIs(t, err, ErrWrongPassword, "no more work than for any wrong password")
}

// Openssl reads a certificate with something behind it in its bag, so we do too.
// What is used is the certificate alone: its thumbprint is that of the others.
func TestPFXWithBytesBehindTheCertificate(t *testing.T) {
	k := testKeys(t)
	e := modern(testPassword, 2)
	for _, behind := range []string{"\x00", "\r\n", "some text", "\x30\x00", "\x30\x82"} {
		cert := append(bytes.Clone(k.leaf.Raw), behind...)
		issuer := append(bytes.Clone(k.intermediate.Raw), behind...)
		for form, safe := range map[string][]byte{
			"plain":     plainSafe(certBag(cert), certBag(issuer)),
			"encrypted": encryptedSafeOf(e, certBag(cert), certBag(issuer)),
		} {
			data := pfxFile(modernMAC(testPassword, 2), safe, plainSafe(shroudedBag(e, k.pkcs8)))
			pair := requirePair(t, k, data, withPassword(testPassword))
			assert.Equal(t, k.leaf.Raw, pair.Leaf.Raw, "%s, %q", form, behind)
			assert.Len(t, pair.Chain, 1, "%s, %q", form, behind)
			assert.Empty(t, pair.Deviations, "%s, %q", form, behind)
		}
	}
}
