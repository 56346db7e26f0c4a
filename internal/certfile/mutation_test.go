package certfile

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mutations are copies of a DER value with one part of it, at any depth and
// also inside octet strings, replaced by something else.
func mutations(der []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { mutate(der, yield) }
}

func mutate(der []byte, yield func([]byte) bool) bool {
	h, err := readBERHeader(der)
	if err != nil || len(h.rest) > 0 {
		return true
	}
	for _, other := range [][]byte{
		nil, null(), seq(), number(0), number(-1), number(1 << 40), octets(nil), octets([]byte{1}), oid("1.2.3"),
		tlv(h.tag[0]), tlv(h.tag[0], h.body, []byte{5, 0}), der[:len(der)-1], toBER(der),
	} {
		if !yield(other) {
			return false
		}
	}
	if !h.constructed() {
		if inner, err := readBERHeader(h.body); h.tag[0] != tagOctetString || err != nil || len(inner.rest) > 0 {
			return true
		}
	}
	var before []byte
	for rest := h.body; len(rest) > 0; {
		child, err := readBERHeader(rest)
		if err != nil {
			return true
		}
		element := rest[:len(rest)-len(child.rest)]
		if !mutate(element, func(m []byte) bool {
			return yield(tlv(h.tag[0], before, m, child.rest))
		}) {
			return false
		}
		before = append(before, element...)
		rest = child.rest
	}
	return true
}

// TestMutations breaks every part of the structures in every way: each result
// is the right pair or an error of ours.
func TestMutations(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	k := testKeys(t)
	e := modern(testPassword, 1)
	safes := [][]byte{plainSafe(shroudedBag(e, k.pkcs8)), encryptedSafeOf(e, certBag(k.leaf.Raw))}
	p7 := seq(oid(oidSignedData), explicit0(seq(number(1), tlv(0x31), seq(oid(oidData)), tlv(0xa0, k.leaf.Raw),
		tlv(0x31))))
	files := map[string]struct{ data, key []byte }{
		"PFX":         {data: pfxFile(modernMAC(testPassword, 1), safes...)},
		"PFX, no MAC": {data: pfxFile(nil, safes...)},
		"PFX, plain":  {data: pfxFile(nil, plainSafe(certBag(k.leaf.Raw), nestedBag(keyBag(k.pkcs8))))},
		"PFX, PBMAC1": {data: pfxFile(pbmac1(pbkdf2Recipe(oidHMACSHA256, []byte(testPassword), 1, 32), oidHMACSHA256,
			32),
			safes...)},
		"PFX, 3DES": {data: pfxFile(nil, encryptedSafeOf(pkcs12PBE(oidPKCS123DES, bmpString(testPassword), 1),
			certBag(k.leaf.Raw), keyBag(k.pkcs8)))},
		"PKCS #8": {pemCert(k.leaf), k.pkcs8},
		"PKCS #1": {pemCert(k.leaf), k.pkcs1},
		"P7B":     {p7, k.pkcs8},
		"scrypt":  {pemCert(k.leaf), pbes2(scryptRecipe([]byte(testPassword), 2, 1, 1), oidAES128CBC).shroud(k.pkcs8)},
		"PBES1":   {pemCert(k.leaf), pbes1(oidPBESHA1DES, []byte(testPassword), 1).shroud(k.pkcs8)},
		"RC2":     {pemCert(k.leaf), pbes2(pbkdf2Recipe("", []byte(testPassword), 1, 16), oidRC2CBC).shroud(k.pkcs8)},
		"PBES2": {pemCert(k.leaf), pbes2(pbkdf2Recipe(oidHMACSHA256, []byte(testPassword), 1, 32),
			oidAES256CBC).shroud(k.pkcs8)},
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			original := file.key
			if original == nil {
				original = file.data
			}
			n, read := 0, 0
			for mutant := range mutations(original) {
				n++
				data, opts := mutant, withPassword(testPassword)
				if file.key != nil {
					data, opts.Key = file.data, mutant
					if opts.Key == nil {
						opts.Key = []byte{}
					}
				}
				pair, err := Parse(data, opts)
				if err != nil {
					checkError(t, err, testPassword)
					continue
				}
				read++
				checkPair(t, pair)
				require.True(t, k.key.Equal(pair.Key))
				// Nothing protects a certificate that lies open.
				if name != "PFX, plain" && name != "P7B" {
					require.True(t, k.leaf.Equal(pair.Leaf))
				}
			}
			assert.Greater(t, n, 80)
			t.Logf("%d of %d are still read", read, n)
		})
	}
}

// TestMutationsAgainstOracles breaks what a right MAC protects, and compares
// what other readers still get out of it.
func TestMutationsAgainstOracles(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	skipInShort(t)
	k := testKeys(t)
	const sha1OID = "1.3.14.3.2.26"
	for name, e := range map[string]encryption{
		"3DES":  pkcs12PBE(oidPKCS123DES, bmpString(testPassword), 1),
		"RC2":   pkcs12PBE(oidPKCS12RC240, bmpString(testPassword), 1),
		"PBES2": modern(testPassword, 1),
	} {
		t.Run(name, func(t *testing.T) {
			mac := pkcs12MAC(sha1OID, bmpString(testPassword), 1)
			content := seq(encryptedSafeOf(e, certBag(k.leaf.Raw)), plainSafe(shroudedBag(e, k.pkcs8)))
			mutants := slices.Collect(mutations(content))
			for inner := range mutations(seq(certBag(k.leaf.Raw))) {
				mutants = append(mutants, seq(rawEncryptedSafe(e.alg, e.encrypt(inner)),
					plainSafe(shroudedBag(e, k.pkcs8))))
			}
			read := 0
			for _, mutant := range mutants {
				data := pfxOf(mac, mutant)
				if affordable(data, testPassword, fuzzRounds) && compareWithOracles(t, data, testPassword) > 0 {
					read++
				}
			}
			t.Logf("an oracle reads %d of %d", read, len(mutants))
			assert.Positive(t, read)
		})
	}
}

// Every prefix of a file is an error, or the file without the end of its last
// line, which nothing depends on.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	e := modern(testPassword, 1)
	for name, data := range map[string][]byte{
		"PFX": pfxFile(modernMAC(testPassword, 1), encryptedSafeOf(e, certBag(k.leaf.Raw)),
			plainSafe(shroudedBag(e, k.pkcs8))),
		"BER":        toBER(pfxFile(nil, plainSafe(certBag(k.leaf.Raw), keyBag(k.pkcs8)))),
		"PEM":        slices.Concat(pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8)),
		"base64 PFX": nest64(pfxFile(nil, plainSafe(certBag(k.leaf.Raw), keyBag(k.pkcs8))), 1),
		"UTF-16":     utf16Of(slices.Concat(pemOf("RSA PRIVATE KEY", k.pkcs1), pemCert(k.leaf)), 0, true),
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(data) {
				_, err := Parse(data[:n], withPassword(testPassword))
				if err == nil {
					assert.Greater(t, n, len(data)-len(utf16Of([]byte("-----END RSA PRIVATE KEY-----\n"), 0, false)))
					continue
				}
				checkError(t, err, testPassword)
				if errors.Is(err, ErrWrongPassword) {
					t.Fatalf("cut at %d: %v", n, err)
				}
			}
		})
	}
}

// Changing a byte of a protected file never yields another pair.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	e := modern(testPassword, 1)
	data := pfxFile(modernMAC(testPassword, 1), encryptedSafeOf(e, certBag(k.leaf.Raw)),
		plainSafe(shroudedBag(e, k.pkcs8)))
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0x41
		pair, err := Parse(changed, withPassword(testPassword))
		if err != nil {
			checkError(t, err, testPassword)
			continue
		}
		require.True(t, k.leaf.Equal(pair.Leaf))
		require.True(t, k.key.Equal(pair.Key))
	}
}
