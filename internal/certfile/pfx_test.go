package certfile

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requirePair checks that data gives the first pair of the keyring.
func requirePair(t *testing.T, k *keyring, data []byte, opts Options) *Pair {
	t.Helper()
	pair, err := Parse(data, opts)
	require.NoError(t, err)
	require.True(t, k.leaf.Equal(pair.Leaf), "leaf is %s", pair.Leaf.Subject)
	require.True(t, k.key.Equal(pair.Key))
	return pair
}

// schemes are all the encryptions of PFX that are read, by name.
func schemes(password string, rounds int64) map[string]encryption {
	bmp, utf8 := bmpString(password), []byte(password)
	out := map[string]encryption{
		"scrypt":                   pbes2(scryptRecipe(utf8, 1024, 8, 1), oidAES256CBC),
		"PBKDF2 with a key length": pbes2(pbkdf2Recipe(oidHMACSHA256, utf8, rounds, 32), oidAES256CBC),
		"PBKDF2 without PRF":       pbes2(pbkdf2Recipe("", utf8, rounds, 0), oidAES256CBC),
		"PBES2 RC2":                pbes2(pbkdf2Recipe("", utf8, rounds, 16), oidRC2CBC),
	}
	for _, id := range []string{
		oidPKCS12RC4128, oidPKCS12RC440, oidPKCS123DES, oidPKCS122KeyDES, oidPKCS12RC2128, oidPKCS12RC240,
	} {
		out[algorithmName(id)] = pkcs12PBE(id, bmp, rounds)
	}
	for _, id := range []string{oidPBEMD5DES, oidPBEMD5RC2, oidPBESHA1DES, oidPBESHA1RC2} {
		out[algorithmName(id)] = pbes1(id, utf8, rounds)
	}
	for _, id := range []string{oidAES128CBC, oidAES192CBC, oidAES256CBC, oid3DESCBC, oidDESCBC} {
		out["PBES2 "+algorithmName(id)] = pbes2(pbkdf2Recipe(oidHMACSHA256, utf8, rounds, 0), id)
	}
	for name, id := range hmacs {
		out["PBKDF2 "+name] = pbes2(pbkdf2Recipe(id, utf8, rounds, 0), oidAES256CBC)
	}
	return out
}

var hmacs = map[string]string{
	"HMAC-MD5": "1.2.840.113549.2.6", "HMAC-SHA-1": oidHMACSHA1, "HMAC-SHA-224": "1.2.840.113549.2.8",
	"HMAC-SHA-256": oidHMACSHA256, "HMAC-SHA-384": "1.2.840.113549.2.10", "HMAC-SHA-512": "1.2.840.113549.2.11",
	"HMAC-SHA-512/224": "1.2.840.113549.2.12", "HMAC-SHA-512/256": "1.2.840.113549.2.13",
}

var digests = map[string]string{
	"MD5": "1.2.840.113549.2.5", "SHA-1": "1.3.14.3.2.26", "SHA-224": "2.16.840.1.101.3.4.2.4",
	"SHA-256": oidSHA256, "SHA-384": "2.16.840.1.101.3.4.2.2", "SHA-512": "2.16.840.1.101.3.4.2.3",
	"SHA-512/224": "2.16.840.1.101.3.4.2.5", "SHA-512/256": "2.16.840.1.101.3.4.2.6",
}

const testPassword = "correct horse"

func TestPFXEncryptions(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	for name, e := range schemes(testPassword, 10) {
		t.Run(name, func(t *testing.T) {
			cert, key := certBag(k.leaf.Raw), shroudedBag(e, k.pkcs8)
			for what, safes := range map[string][][]byte{
				"cert safe and key bag":   {encryptedSafeOf(e, cert), plainSafe(key)},
				"key bag in its own safe": {encryptedSafeOf(e, key, cert)},
				"plain key in a safe":     {encryptedSafeOf(e, keyBag(k.pkcs8)), plainSafe(cert)},
			} {
				for macName, mac := range map[string]macRecipe{"MAC": modernMAC(testPassword, 5), "no MAC": nil} {
					data := pfxFile(mac, safes...)
					pair := requirePair(t, k, data, withPassword(testPassword))
					assert.Equal(t, "PFX", pair.Format)
					_, err := Parse(data, withPassword("wrong"))
					assert.ErrorIs(t, err, ErrWrongPassword, "%s, %s", what, macName)
					_, err = Parse(data, Options{})
					assert.ErrorIs(t, err, ErrPasswordRequired, "%s, %s", what, macName)
				}
			}
			requirePair(t, k, k.leaf.Raw, Options{Password: testPassword, HasPassword: true, Key: e.shroud(k.pkcs8)})
		})
	}
}

func TestPFXMACs(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	safe := plainSafe(keyBag(k.pkcs8), certBag(k.leaf.Raw))
	macs := map[string]macRecipe{}
	for name, id := range digests {
		macs[name] = pkcs12MAC(id, bmpString(testPassword), 3)
	}
	for name, id := range hmacs {
		macs["PBMAC1 "+name] = pbmac1(pbkdf2Recipe(id, []byte(testPassword), 3, 32), id, 32)
	}
	const hmacSHA512 = "1.2.840.113549.2.11"
	macs["PBMAC1 with a key as long as BouncyCastle's"] = pbmac1(
		pbkdf2Recipe(oidHMACSHA256, []byte(testPassword), 3, 256), hmacSHA512, 256)
	for name, mac := range macs {
		t.Run(name, func(t *testing.T) {
			data := pfxFile(mac, safe)
			requirePair(t, k, data, withPassword(testPassword))
			_, err := Parse(data, withPassword("wrong"))
			assert.ErrorIs(t, err, ErrWrongPassword)
			_, err = Parse(data, Options{})
			assert.ErrorIs(t, err, ErrPasswordRequired)
			// One flipped bit of the content: Go's parsers might take it.
			_, err = Parse(bytes.Replace(data, []byte("Leaf"), []byte("LeaF"), 1), withPassword(testPassword))
			assert.ErrorIs(t, err, ErrWrongPassword)
		})
	}
}

// The forms in which tools put passwords, in every combination of MAC and
// encryption.
func TestPFXPasswordForms(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	type form struct {
		name string
		bmp  []byte
		utf8 []byte
	}
	for _, tt := range []struct {
		password string
		forms    []form
	}{
		{"", []form{{"empty", []byte{0, 0}, nil}, {"null", nil, nil}, {"old NSS", []byte{0, 0}, []byte{0, 0}}}},
		{"plain", []form{
			{"standard", bmpString("plain"), []byte("plain")},
			{"old NSS", bmpString("plain"), bmpString("plain")},
		}},
		{"pässwörd", []form{
			{"standard", bmpString("pässwörd"), []byte("pässwörd")},
			{"old OpenSSL", bmpString("p\u00c3\u00a4ssw\u00c3\u00b6rd"), []byte("pässwörd")},
			{"Latin-1", bmpString("pässwörd"), []byte("p\xe4ssw\xf6rd")},
		}},
		{"пароль 🔑", []form{
			{"standard", []byte("\x04\x3f\x04\x30\x04\x40\x04\x3e\x04\x3b\x04\x4c\x00 \xd8\x3d\xdd\x11\x00\x00"),
				[]byte("пароль 🔑")},
		}},
		{"\xff\xfe not UTF-8", []form{
			{"bytes", bmpString("\u00ff\u00fe not UTF-8"), []byte("\xff\xfe not UTF-8")},
		}},
		{string(bytes.Repeat([]byte("long"), 5000)), []form{
			{"standard", bmpString(string(bytes.Repeat([]byte("long"), 5000))), bytes.Repeat([]byte("long"), 5000)},
		}},
	} {
		for _, mac := range tt.forms {
			for _, enc := range tt.forms {
				for name, e := range map[string]encryption{
					"3DES":  pkcs12PBE(oidPKCS123DES, enc.bmp, 2),
					"PBES2": pbes2(pbkdf2Recipe(oidHMACSHA256, enc.utf8, 2, 0), oidAES256CBC),
				} {
					t.Run(tt.password[:min(8, len(tt.password))]+"/"+mac.name+"/"+name+" "+enc.name,
						func(t *testing.T) {
							data := pfxFile(pkcs12MAC(oidSHA256, mac.bmp, 2), encryptedSafeOf(e, certBag(k.leaf.Raw)),
								plainSafe(shroudedBag(e, k.pkcs8)))
							requirePair(t, k, data, withPassword(tt.password))
							if tt.password == "" {
								requirePair(t, k, data, Options{})
							}
						})
				}
			}
		}
	}
}

func TestPFXStructures(t *testing.T) {
	k := testKeys(t)
	e, mac := modern(testPassword, 2), modernMAC(testPassword, 2)
	leaf, key := certBag(k.leaf.Raw), shroudedBag(e, k.pkcs8)
	chain := [][]byte{certBag(k.root.Raw), certBag(k.intermediate.Raw)}
	nested := nestedBag(key)
	for range maxSafeDepth - 2 {
		nested = nestedBag(nested)
	}
	unknown := bag("1.2.840.113549.1.12.10.1.99", seq(number(1)))
	badCert := certBag(append([]byte{0x30, 0x82}, k.leaf.Raw[4:]...))
	for name, data := range map[string][]byte{
		"key first":             pfxFile(mac, plainSafe(key), encryptedSafeOf(e, leaf)),
		"chain before the leaf": pfxFile(mac, plainSafe(key), encryptedSafeOf(e, append(slices.Clone(chain), leaf)...)),
		"leaf twice":            pfxFile(mac, plainSafe(key), encryptedSafeOf(e, leaf, leaf)),
		"key twice":             pfxFile(mac, plainSafe(key, key), encryptedSafeOf(e, leaf)),
		"a safe for each": pfxFile(mac, plainSafe(key), encryptedSafeOf(e, leaf), encryptedSafeOf(e, chain[0]),
			encryptedSafeOf(e, chain[1])),
		"nested": pfxFile(mac, plainSafe(nested), encryptedSafeOf(e, nestedBag(leaf))),
		"CRL and secret bags": pfxFile(mac,
			plainSafe(bag("1.2.840.113549.1.12.10.1.4", seq()), key,
				bag("1.2.840.113549.1.12.10.1.5", seq())), encryptedSafeOf(e, leaf)),
		"bags of no known kind": pfxFile(mac, plainSafe(key, unknown), encryptedSafeOf(e, unknown, leaf)),
		"SDSI certificate": pfxFile(mac,
			plainSafe(key, bag(oidCertBag, seq(oid("1.2.840.113549.1.9.22.2"),
				explicit0(tlv(0x16, []byte("x")))))), encryptedSafeOf(e, leaf)),
		"an empty safe": pfxFile(mac, plainSafe(), plainSafe(key), encryptedSafeOf(e, leaf),
			encryptedSafeOf(e)),
		"an unreadable stranger": pfxFile(mac, plainSafe(key), encryptedSafeOf(e, badCert, leaf)),
		"another key beside":     pfxFile(mac, plainSafe(shroudedBag(e, k.otherPKCS8), key), encryptedSafeOf(e, leaf)),
		"an EC key beside":       pfxFile(mac, plainSafe(shroudedBag(e, k.ecPKCS8), key), encryptedSafeOf(e, leaf)),
		"key of another password": pfxFile(mac, plainSafe(shroudedBag(modern("other", 2), k.otherPKCS8), key),
			encryptedSafeOf(e, leaf)),
		"public-key encrypted part": pfxFile(mac, plainSafe(key), seq(oid(oidEnvelopedData), explicit0(seq())),
			encryptedSafeOf(e, leaf)),
		"content type of no use": pfxFile(mac, plainSafe(key), seq(oid("1.2.840.113549.1.7.5"), explicit0(seq())),
			encryptedSafeOf(e, leaf)),
		"BER inside":  pfxOf(mac, toBER(seq(plainSafe(key), encryptedSafeOf(e, leaf)))),
		"BER outside": toBER(pfxFile(mac, plainSafe(key), encryptedSafeOf(e, leaf))),
		"BER everywhere": toBER(pfxOf(mac,
			toBER(seq(seq(oid(oidData), explicit0(octets(toBER(seq(key))))), encryptedSafeOf(e, leaf))))),
		"BER in the safe": pfxFile(mac, plainSafe(key), rawEncryptedSafe(e.alg, e.encrypt(toBER(seq(leaf))))),
		"BER key": pfxFile(mac,
			plainSafe(bag(oidShroudedKeyBag, seq(e.alg, octets(e.encrypt(toBER(k.pkcs8)))))), encryptedSafeOf(e, leaf)),
	} {
		t.Run(name, func(t *testing.T) {
			requirePair(t, k, data, withPassword(testPassword))
			requirePair(t, k, append(bytes.Clone(data), make([]byte, 37)...), withPassword(testPassword))
			requirePair(t, k, append(bytes.Clone(data), "\r\n"...), withPassword(testPassword))
			requirePair(t, k, []byte(base64.StdEncoding.EncodeToString(data)), withPassword(testPassword))
			requirePair(t, k, pemOf("PKCS12", data), withPassword(testPassword))
		})
	}
}

func TestPFXErrors(t *testing.T) {
	k := testKeys(t)
	e, mac := modern(testPassword, 2), modernMAC(testPassword, 2)
	leaf, key := certBag(k.leaf.Raw), shroudedBag(e, k.pkcs8)
	good := pfxFile(mac, plainSafe(key), encryptedSafeOf(e, leaf))
	alg := func(id string) encryption {
		return encryption{seq(oid(id), seq(octets(testSalt), number(1))),
			func([]byte) []byte { return make([]byte, 16) }}
	}
	gcm := pbes2(pbkdf2Recipe(oidHMACSHA256, []byte(testPassword), 2, 32), "2.16.840.1.101.3.4.1.46")
	gcm.encrypt = func([]byte) []byte { return make([]byte, 16) }
	for _, tt := range []struct {
		name string
		data []byte
		want error
		text string
	}{
		{"no key", pfxFile(mac, encryptedSafeOf(e, leaf)), ErrNoPrivateKey, "Leaf"},
		{"no certificate", pfxFile(mac, plainSafe(key)), ErrNoCertificate, ""},
		{"nothing", pfxFile(mac), ErrFormat, ""},
		{"mismatch", pfxFile(mac, plainSafe(key), encryptedSafeOf(e, certBag(k.other.Raw))), ErrKeyMismatch, "Other"},
		{"two pairs", pfxFile(mac, plainSafe(key, shroudedBag(e, k.otherPKCS8)),
			encryptedSafeOf(e, leaf, certBag(k.other.Raw))), ErrSeveralKeys, "Other"},
		{"a pair and an EC pair", pfxFile(mac, plainSafe(key, shroudedBag(e, k.ecPKCS8)),
			encryptedSafeOf(e, leaf, certBag(k.intermediate.Raw))), ErrSeveralKeys, "\"CN=Intermediate\" (EC P-256, "},
		{"P-224", pfxFile(mac, plainSafe(shroudedBag(e, seq(number(0), seq(oid(oidEC), oid("1.3.132.0.33")), octets(
			seq(number(1), octets([]byte{1}))))))), ErrUnsupported, "EC P-224"},
		{"key of another password", pfxFile(mac, plainSafe(shroudedBag(modern("other", 2), k.pkcs8)),
			encryptedSafeOf(e, leaf)),
			ErrFormat, "private key: not a certificate file with its key: the password is that of the PFX"},
		{"safe of another password", pfxFile(mac, plainSafe(key), encryptedSafeOf(modern("other", 2), leaf)),
			ErrFormat, "the password is that of the PFX"},
		{"key of another password, no MAC", pfxFile(nil, plainSafe(shroudedBag(modern("other", 2), k.pkcs8)),
			encryptedSafeOf(e, leaf)),
			ErrWrongPassword, "private key"},
		{"unknown encryption of the key", pfxFile(mac, plainSafe(shroudedBag(alg("1.2.3.4"), k.pkcs8)),
			encryptedSafeOf(e, leaf)), ErrUnsupported, "1.2.3.4"},
		{
			"MD2", pfxFile(mac, plainSafe(key), encryptedSafeOf(alg(oidPBEMD2DES))), ErrUnsupported,
			"pbeWithMD2AndDES-CBC",
		},
		{
			"GCM", pfxFile(mac, plainSafe(shroudedBag(gcm, nil)), encryptedSafeOf(e, leaf)), ErrUnsupported,
			"AES-256-GCM; have the file written again with AES-256-CBC",
		},
		{"only encrypted for a certificate", pfxFile(mac, plainSafe(key), seq(oid(oidEnvelopedData), explicit0(seq()))),
			ErrUnsupported, "for a certificate"},
		{"signed", seq(number(3), seq(oid(oidSignedData), explicit0(seq()))), ErrUnsupported, "signed"},
		{"PFX version", seq(number(1), seq(oid(oidData), explicit0(octets(seq())))), ErrUnsupported, "version 1"},
		{"unknown MAC", pfxFile(func([]byte) []byte {
			return seq(seq(seq(oid("2.16.840.1.101.3.4.2.8")), octets(testSalt)), octets(testSalt), number(1))
		}, plainSafe(key)), ErrUnsupported, "SHA3-256"},
		{"MAC without content", seq(number(3), seq(oid(oidData), explicit0(octets(seq()))), seq()), ErrFormat, ""},
		{"PBMAC1 without key length", pfxFile(pbmac1(pbkdf2Recipe(oidHMACSHA256, nil, 1, 0), oidHMACSHA256, 32),
			plainSafe(key)), ErrFormat, "length of its key"},
		{"PBMAC1 with short key", pfxFile(pbmac1(pbkdf2Recipe(oidHMACSHA256, nil, 1, 19), oidHMACSHA256, 19),
			plainSafe(key)), ErrUnsupported, "19 bytes"},
		{"key length of no AES", pfxFile(mac,
			plainSafe(shroudedBag(pbes2(pbkdf2Recipe(oidHMACSHA256, nil, 1, 20), oidAES256CBC), k.pkcs8)),
			encryptedSafeOf(e,
				leaf)),
			ErrFormat, "20 bytes"},
		{"cut", good[:len(good)-20], ErrFormat, "part of it"},
		{"cut to a half", good[:len(good)/2], ErrFormat, "part of it"},
		{"cut inside", pfxOf(mac, seq(plainSafe(key))[:100]), ErrFormat, ""},
		{"ciphertext of no whole blocks", pfxFile(mac, plainSafe(key), rawEncryptedSafe(e.alg, make([]byte, 33))),
			ErrFormat, "33"},
		{"no ciphertext", pfxFile(mac, plainSafe(key), rawEncryptedSafe(e.alg, nil)), ErrFormat, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, data := range [][]byte{tt.data, []byte(base64.StdEncoding.EncodeToString(tt.data))} {
				_, err := Parse(data, withPassword(testPassword))
				require.ErrorIs(t, err, tt.want)
				assert.ErrorContains(t, err, tt.text)
				assert.NotContains(t, err.Error(), testPassword)
			}
		})
	}
}

// Whatever a wrong password decrypts to, it must not come out: without a MAC,
// padding is right for one password in 256.
func TestPFXWrongPasswordLuck(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	e := modern(testPassword, 1)
	data := pfxFile(nil, plainSafe(shroudedBag(e, k.pkcs8)), encryptedSafeOf(e, certBag(k.leaf.Raw)))
	for i := range 2000 {
		_, err := Parse(data, withPassword(string(rune('a'+i))+"x"))
		require.ErrorIs(t, err, ErrWrongPassword)
	}
}

// TestPFXBuilderAgreesWithOpenSSL shows that the builder writes what openssl
// reads, so that the tests above don't only test the reader against itself.
func TestPFXBuilderAgreesWithOpenSSL(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	openssl := tool(t, "openssl")
	k := testKeys(t)
	for name, e := range schemes(testPassword, 10) {
		switch name {
		case "PBKDF2 HMAC-MD5", "PBKDF2 HMAC-SHA-512/224", "PBKDF2 HMAC-SHA-512/256":
			continue // not in every openssl
		}
		t.Run(name, func(t *testing.T) {
			data := pfxFile(modernMAC(testPassword, 5), encryptedSafeOf(e, certBag(k.leaf.Raw)),
				plainSafe(shroudedBag(e, k.pkcs8)))
			file := filepath.Join(t.TempDir(), "a.pfx")
			require.NoError(t, os.WriteFile(file, data, 0o600))
			out, err := exec.Command(openssl, "pkcs12", "-in", file, "-nodes", "-legacy", "-passin",
				"pass:"+testPassword).Output()
			require.NoError(t, err)
			pair := requirePair(t, k, out, Options{})
			assert.Equal(t, "PEM", pair.Format)
		})
	}
}
