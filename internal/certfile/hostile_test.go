package certfile

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// claim is an encryption whose derivation is never made: hostile counts.
func claim(kdf []byte, cipherOID string, iv int) encryption {
	return encryption{
		alg:     seq(oid(oidPBES2), seq(kdf, seq(oid(cipherOID), octets(make([]byte, iv))))),
		encrypt: func([]byte) []byte { return make([]byte, 64) },
	}
}

func claimPBKDF2(rounds int64) encryption {
	return claim(seq(oid(oidPBKDF2), seq(octets(testSalt), number(rounds), seq(oid(oidHMACSHA256), null()))),
		oidAES256CBC, 16)
}

func claimScrypt(n, r, p int64) encryption {
	return claim(seq(oid(oidScrypt), seq(octets(testSalt), number(n), number(r), number(p))), oidAES256CBC, 16)
}

func claimPKCS12(rounds int64) encryption {
	return encryption{seq(oid(oidPKCS123DES), seq(octets(testSalt), number(rounds))),
		func([]byte) []byte { return make([]byte, 64) }}
}

func claimMAC(rounds int64) macRecipe {
	return func([]byte) []byte {
		return seq(seq(seq(oid(oidSHA256), null()), octets(make([]byte, 32))), octets(testSalt), number(rounds))
	}
}

func TestHostile(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	mac, e := modernMAC(testPassword, 1), modern(testPassword, 1)
	key := shroudedBag(e, k.pkcs8)
	huge := seq(octets(testSalt), tlv(2, append([]byte{1}, make([]byte, 40)...)))
	repeat := func(n int, b []byte) [][]byte {
		var out [][]byte
		for range n {
			out = append(out, b)
		}
		return out
	}
	nested := key
	for range maxSafeDepth {
		nested = nestedBag(nested)
	}
	veryNested := key
	for range 1000 {
		veryNested = nestedBag(veryNested)
	}
	const billion = 1_000_000_000
	for _, tt := range []struct {
		name string
		data []byte
		want error
	}{
		{"MAC rounds", pfxFile(claimMAC(billion), plainSafe(key)), ErrTooLarge},
		{"MAC rounds just above", pfxFile(claimMAC(maxRounds+1), plainSafe(key)), ErrTooLarge},
		{"MAC rounds beyond int64", pfxFile(func([]byte) []byte {
			return seq(seq(seq(oid(oidSHA256), null()), octets(make([]byte, 32))), octets(testSalt),
				tlv(2, append([]byte{1}, make([]byte, 40)...)))
		}, plainSafe(key)), ErrTooLarge},
		{"MAC rounds negative", pfxFile(claimMAC(-5), plainSafe(key)), ErrFormat},
		{"MAC rounds zero", pfxFile(claimMAC(0), plainSafe(key)), ErrFormat},
		{"PBMAC1 rounds", pfxFile(pbmac1(kdfRecipe{claimPBKDF2Alg(billion, 32), func(int) []byte { return testSalt }},
			oidHMACSHA256, 32), plainSafe(key)), ErrTooLarge},
		{"PBMAC1 key", pfxFile(pbmac1(kdfRecipe{claimPBKDF2Alg(1, billion), func(int) []byte { return testSalt }},
			oidHMACSHA256, 32), plainSafe(key)), ErrTooLarge},
		{"safe rounds", pfxFile(mac, encryptedSafeOf(claimPBKDF2(billion)), plainSafe(key)), ErrTooLarge},
		{"safe rounds, no MAC", pfxFile(nil, encryptedSafeOf(claimPKCS12(billion)), plainSafe(key)), ErrTooLarge},
		{"key bag rounds", pfxFile(mac, plainSafe(shroudedBag(claimPBKDF2(billion), nil))), ErrTooLarge},
		{"key bag in an encrypted safe", pfxFile(mac, encryptedSafeOf(e, shroudedBag(claimPBKDF2(billion), nil))),
			ErrTooLarge},
		{"key bag in an encrypted safe, nested",
			pfxFile(mac, encryptedSafeOf(e, nestedBag(shroudedBag(claimPKCS12(billion), nil)))), ErrTooLarge},
		{
			"total of key bags", pfxFile(mac, plainSafe(repeat(3, shroudedBag(claimPBKDF2(4_000_000), nil))...)),
			ErrTooLarge,
		},
		{"total of key bags in an encrypted safe",
			pfxFile(mac, encryptedSafeOf(e, repeat(3, shroudedBag(claimPBKDF2(4_000_000), nil))...)), ErrTooLarge},
		{"total of safes", pfxFile(nil, repeat(11, encryptedSafeOf(claimPBKDF2(1_000_000)))...), ErrTooLarge},
		{"total with the MAC", pfxFile(claimMAC(4_000_000), encryptedSafeOf(claimPBKDF2(4_000_000)),
			plainSafe(shroudedBag(claimPKCS12(4_000_000), nil))), ErrTooLarge},
		{"scrypt memory", pfxFile(mac, encryptedSafeOf(claimScrypt(1<<20, 8, 1))), ErrTooLarge},
		{"scrypt p", pfxFile(mac, encryptedSafeOf(claimScrypt(2, 1, 1<<30))), ErrTooLarge},
		{"scrypt r", pfxFile(mac, encryptedSafeOf(claimScrypt(2, 1<<40, 1))), ErrTooLarge},
		{"scrypt overflow", pfxFile(mac, encryptedSafeOf(claimScrypt(1<<62, 1<<62, 1<<62))), ErrTooLarge},
		{"scrypt N", pfxFile(mac, encryptedSafeOf(claimScrypt(1000, 8, 1))), ErrFormat},
		{"scrypt zero", pfxFile(mac, encryptedSafeOf(claimScrypt(0, 0, 0))), ErrFormat},
		{"PBKDF2 rounds beyond int64",
			pfxFile(mac, encryptedSafeOf(claim(seq(oid(oidPBKDF2), huge), oidAES256CBC, 16))),
			ErrTooLarge},
		{"short IV", pfxFile(mac, encryptedSafeOf(claim(claimPBKDF2Alg(1, 32), oidAES256CBC, 1))), ErrFormat},
		{"long IV", pfxFile(mac, encryptedSafeOf(claim(claimPBKDF2Alg(1, 32), oidAES256CBC, 17))), ErrFormat},
		{"no IV", pfxFile(mac, encryptedSafeOf(claim(claimPBKDF2Alg(1, 32), oidAES256CBC, 0))), ErrFormat},
		{"key length", pfxFile(mac, encryptedSafeOf(claim(claimPBKDF2Alg(1, billion), oidAES256CBC, 16))), ErrFormat},
		{"safes", pfxFile(nil, repeat(maxSafes+1, plainSafe())...), ErrTooLarge},
		{"bags", pfxFile(nil, plainSafe(repeat(maxItems+1, certBag(k.leaf.Raw))...)), ErrTooLarge},
		{"bags in an encrypted safe", pfxFile(mac, encryptedSafeOf(e, repeat(maxItems+1, certBag(k.leaf.Raw))...)),
			ErrTooLarge},
		{"nested safes", pfxFile(mac, plainSafe(nested)), ErrTooLarge},
		{"nested a thousandfold", pfxFile(mac, plainSafe(veryNested)), ErrTooLarge},
		{"size", make([]byte, maxFileSize+1), ErrTooLarge},
		{"PEM blocks", bytes.Repeat(pemCert(k.leaf), maxItems+1), ErrTooLarge},
		{"PEM begins", bytes.Repeat([]byte(pemBegin), 90_000), ErrTooLarge},
		{"BER depth", bytes.Repeat([]byte{0x30, 0x80}, 500_000), ErrFormat},
		{"BER depth with octets", bytes.Repeat([]byte{0x30, 0x80, 0x24, 0x80}, 250_000), ErrFormat},
		{
			"many tiny values", append([]byte{0x30, 0x80}, append(bytes.Repeat([]byte{5, 0}, 500_000), 0, 0)...),
			ErrFormat,
		},
		{"zeros", make([]byte, maxFileSize), ErrFormat},
		{"base64 of base64 of base64", nest64(pfxFile(nil), 6), ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse(tt.data, withPassword(testPassword))
			assert.Less(t, time.Since(start), boundedWithin)
			require.ErrorIs(t, err, tt.want)
		})
	}
	t.Run("key file", func(t *testing.T) {
		for name, e := range map[string]encryption{
			"rounds": claimPBKDF2(billion), "scrypt": claimScrypt(1<<30, 8, 1), "PBES1": claimPKCS12(billion),
		} {
			_, err := Parse(k.leaf.Raw, Options{Key: e.shroud(nil), Password: "p", HasPassword: true})
			assert.ErrorIs(t, err, ErrTooLarge, name)
			assert.ErrorContains(t, err, "key file: ", name)
		}
	})
}

func claimPBKDF2Alg(rounds, keyLen int64) []byte {
	return seq(oid(oidPBKDF2), seq(octets(testSalt), number(rounds), number(keyLen), seq(oid(oidHMACSHA256), null())))
}

func nest64(data []byte, n int) []byte {
	for range n {
		data = []byte(base64.StdEncoding.EncodeToString(data))
	}
	return data
}

// A million rounds for each part are legitimate.
func TestMillionRounds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a second")
	}
	k := testKeys(t)
	const million = 1_000_000
	encryptions := map[string]encryption{"PBES2": modern(testPassword, million)}
	if !fips140.Enforced() {
		encryptions["3DES"] = pkcs12PBE(oidPKCS123DES, bmpString(testPassword), million)
	}
	for name, e := range encryptions {
		t.Run(name, func(t *testing.T) {
			data := pfxFile(modernMAC(testPassword, million), encryptedSafeOf(e, certBag(k.leaf.Raw)),
				plainSafe(shroudedBag(e, k.pkcs8)))
			requirePair(t, k, data, withPassword(testPassword))
			_, err := Parse(data, withPassword("wrong"))
			assert.ErrorIs(t, err, ErrWrongPassword)
		})
	}
}

// The alternatives of a password are paid for too, but a file that exhausts
// them with a wrong password is one with a wrong password.
func TestBudgetEndsAlternatives(t *testing.T) {
	r := newReader(newPasswords("ä", true), 25)
	opened := 0
	s := scheme{rounds: 10, blockSize: 1, open: func(_, _ []byte) ([]byte, error) {
		opened++
		return nil, nil
	}}
	_, err := r.decrypt(s, []byte{1}, true, isKey)
	assert.ErrorIs(t, err, ErrWrongPassword)
	assert.Equal(t, 2, opened)
	_, err = r.decrypt(s, []byte{1}, true, isKey)
	assert.ErrorIs(t, err, ErrTooLarge)
	assert.Equal(t, 2, opened)
}
