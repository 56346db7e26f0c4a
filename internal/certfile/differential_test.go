package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	xpkcs12 "golang.org/x/crypto/pkcs12"
	gopkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Oracles: other readers of the same files. What one of them reads rightly,
// that is to a key and its certificate, ours must read to the same.

// oracle reads a PFX; certs in any order.
type oracle struct {
	name string
	read func(data []byte, password string) (key any, certs []*x509.Certificate, err error)
}

var oracles = []oracle{
	{"go-pkcs12 DecodeChain", func(data []byte, password string) (any, []*x509.Certificate, error) {
		key, leaf, chain, err := gopkcs12.DecodeChain(data, password)
		return key, append(chain, leaf), err
	}},
	{"x/crypto Decode", func(data []byte, password string) (any, []*x509.Certificate, error) {
		key, leaf, err := xpkcs12.Decode(data, password)
		return key, []*x509.Certificate{leaf}, err
	}},
	{"x/crypto ToPEM", func(data []byte, password string) (any, []*x509.Certificate, error) {
		blocks, err := xpkcs12.ToPEM(data, password)
		if err != nil {
			return nil, nil, err
		}
		var key any
		var certs []*x509.Certificate
		for _, b := range blocks {
			if b.Type == "CERTIFICATE" {
				cert, err := x509.ParseCertificate(b.Bytes)
				if err != nil {
					return nil, nil, err
				}
				certs = append(certs, cert)
			} else if key, err = x509.ParsePKCS1PrivateKey(b.Bytes); err != nil {
				if key, err = x509.ParseECPrivateKey(b.Bytes); err != nil {
					return nil, nil, err
				}
			}
		}
		return key, certs, nil
	}},
}

// rightly reports whether the result is a key that we accept and its certificate.
func rightly(key any, certs []*x509.Certificate, err error) (publicKey, bool) {
	if err != nil {
		return nil, false
	}
	var public publicKey
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if checkKeySize(&key.PublicKey) != nil {
			return nil, false
		}
		public = &key.PublicKey
	case *ecdsa.PrivateKey:
		if !isAcceptedCurve(key.Curve) {
			return nil, false
		}
		public = &key.PublicKey
	case ed25519.PrivateKey:
		public = key.Public().(ed25519.PublicKey)
	default:
		return nil, false
	}
	return public, slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return public.Equal(c.PublicKey) })
}

// compareWithOracles returns how many oracles read the file rightly.
func compareWithOracles(t *testing.T, data []byte, password string) int {
	t.Helper()
	pair, err := Parse(data, withPassword(password))
	return compareReading(t, pair, err, data, password)
}

// compareReading does that with what ours reads.
func compareReading(t *testing.T, pair *Pair, err error, data []byte, password string) int {
	t.Helper()
	n := 0
	for _, o := range oracles {
		key, right := rightly(o.read(data, password))
		if !right {
			continue
		}
		n++
		if errors.Is(err, ErrSeveralKeys) || errors.Is(err, errNoRounds) {
			continue // an oracle returns one of the keys without saying so
		}
		if assert.NoError(t, err, "%s reads it", o.name) {
			assert.True(t, key.Equal(pair.Key.Public()), o.name)
			assert.True(t, key.Equal(pair.Leaf.PublicKey), o.name)
		}
	}
	return n
}

func corpusFiles(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/corpus/*")
	require.NoError(tb, err)
	require.GreaterOrEqual(tb, len(files), 80, "the corpus is missing")
	return files
}

// corpusCases are the files of the corpus, each with its password.
func corpusCases(tb testing.TB) map[string]string {
	tb.Helper()
	index, err := os.ReadFile("testdata/corpus.json")
	require.NoError(tb, err)
	var list []struct{ File, Password string }
	require.NoError(tb, json.Unmarshal(index, &list))
	cases := map[string]string{}
	for _, c := range list {
		if c.Password != "" || cases[c.File] == "" {
			cases[c.File] = c.Password
		}
	}
	require.GreaterOrEqual(tb, len(cases), 80, "the corpus is missing")
	return cases
}

// oracleRounds leaves out the files of NSS and GnuTLS, which take half a
// minute, except in CI.
func oracleRounds() int64 {
	if os.Getenv("CI") == "true" {
		return maxTotalRounds
	}
	return 250_000
}

// skipInShort skips a comparison with other readers: the run in short is there for the
// race detector, which sees the same parser in TestCorpus.
func skipInShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("compares with other readers: not with -short")
	}
}

func TestOraclesOnCorpus(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	skipInShort(t)
	rounds := oracleRounds()
	right := 0
	for file, password := range corpusCases(t) {
		data, err := os.ReadFile(filepath.Join("testdata/corpus", file))
		require.NoError(t, err)
		if !affordableOnce(data, password, rounds) {
			continue
		}
		t.Run(file, func(t *testing.T) {
			pair, err := ReadOnce(data, withPassword(password))
			if compareReading(t, pair, err, data, password) > 0 {
				right++
			}
			compareWithTLS(t, data)
		})
	}
	t.Logf("an oracle reads %d files", right)
	assert.Greater(t, right, 80)
}

// TestOpenSSLOnCorpus converts PFX files with openssl and compares what is read
// of the results.
func TestOpenSSLOnCorpus(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	skipInShort(t)
	openssl := tool(t, "openssl")
	var right atomic.Int64
	t.Run("files", func(t *testing.T) {
		for file, password := range corpusCases(t) {
			t.Run(file, func(t *testing.T) {
				t.Parallel() // openssl is another process
				if compareWithOpenSSL(t, openssl, filepath.Join("testdata/corpus", file), password) {
					right.Add(1)
				}
			})
		}
	})
	t.Logf("openssl reads %d files", right.Load())
	assert.Greater(t, right.Load(), int64(80))
}

// compareWithOpenSSL reports whether openssl reads the file to a pair.
func compareWithOpenSSL(t *testing.T, openssl, path, password string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	if !isWholeDER(data) || !affordableOnce(data, password, oracleRounds()) {
		return false
	}
	args := []string{"pkcs12", "-in", path, "-nodes", "-legacy", "-passin", "pass:" + password}
	out, err := exec.Command(openssl, args...).Output()
	if err != nil {
		return false
	}
	theirs, err := Parse(out, Options{})
	if err != nil {
		return false // no pair, or several
	}
	ours, err := ReadOnce(data, withPassword(password))
	if assert.NoError(t, err) {
		assert.True(t, theirs.Leaf.Equal(ours.Leaf))
		assert.True(t, publicOf(theirs).Equal(ours.Key.Public()))
		assert.Equal(t, len(theirs.Chain), len(ours.Chain))
	}
	return true
}

// compareWithTLS does the same for unencrypted PEM.
func compareWithTLS(t *testing.T, data []byte) {
	t.Helper()
	theirs, err := tls.X509KeyPair(data, data)
	if err != nil {
		return
	}
	key, right := rightly(theirs.PrivateKey, []*x509.Certificate{theirs.Leaf}, nil)
	if !right {
		return
	}
	pair, err := Parse(data, Options{})
	if errors.Is(err, ErrSeveralKeys) || errors.Is(err, ErrTooLarge) {
		return
	}
	if assert.NoError(t, err) {
		assert.True(t, key.Equal(pair.Leaf.PublicKey))
	}
}

// Files that go-pkcs12 writes, with each of its encoders.
func TestOracleWrites(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	k := testKeys(t)
	for name, enc := range map[string]*gopkcs12.Encoder{
		"LegacyRC2": gopkcs12.LegacyRC2, "LegacyDES": gopkcs12.LegacyDES, "Modern2023": gopkcs12.Modern2023,
		"Modern2026": gopkcs12.Modern2026, "Passwordless": gopkcs12.Passwordless,
	} {
		t.Run(name, func(t *testing.T) {
			for _, password := range []string{"", "secret", "pässwörd"} {
				if name == "Passwordless" && password != "" {
					continue
				}
				data, err := enc.Encode(k.key, k.leaf, []*x509.Certificate{k.root, k.intermediate}, password)
				require.NoError(t, err)
				pair := requirePair(t, k, data, withPassword(password))
				assert.Len(t, pair.Chain, 2)
				assert.Positive(t, compareWithOracles(t, data, password))
			}
		})
	}
}

// TestOracleReads shows that the builder's files are what others read too.
func TestOracleReads(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	k := testKeys(t)
	read := 0
	for _, e := range schemes(testPassword, 3) {
		data := pfxFile(pkcs12MAC("1.3.14.3.2.26", bmpString(testPassword), 3), encryptedSafeOf(e, certBag(k.leaf.Raw)),
			plainSafe(shroudedBag(e, k.pkcs8)))
		if compareWithOracles(t, data, testPassword) > 0 {
			read++
		}
	}
	assert.GreaterOrEqual(t, read, 8)
}

// FuzzOracles changes PFX files and compares what is read of them.
func FuzzOracles(f *testing.F) {
	skipInFIPSMode(f)
	addCorpus(f, func(data []byte) {
		if len(data) < 8<<10 && isWholeDER(data) && affordable(data, "secret", fuzzRounds) {
			f.Add(data, "secret")
		}
	})
	k := testKeys(f)
	for _, e := range schemes("secret", 1) {
		f.Add(pfxFile(pkcs12MAC("1.3.14.3.2.26", bmpString("secret"), 1), encryptedSafeOf(e, certBag(k.leaf.Raw)),
			plainSafe(shroudedBag(e, k.pkcs8))), "secret")
		f.Add(pfxFile(nil, encryptedSafeOf(e, certBag(k.leaf.Raw)), plainSafe(shroudedBag(e, k.pkcs8))), "secret")
	}
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		if affordable(data, password, fuzzRounds) {
			compareWithOracles(t, data, password)
		}
	})
}

// affordable reports whether an oracle, which has no limit on rounds, can be
// given the file. Where our reader doesn't get to the end, any number in the
// file could be a count for an oracle.
func affordable(data []byte, password string, rounds int64) bool {
	r := newReader(newPasswords(password, true), rounds)
	err := readFile(r, data)
	if err == nil {
		err = r.openKeys()
	}
	if errors.Is(err, ErrTooLarge) {
		return false
	}
	if (err == nil || errors.Is(err, ErrWrongPassword)) && len(r.problems) == 0 {
		return true
	}
	return !claimsMore(data, rounds)
}

// affordableOnce is affordable for a file that several tests read. Where ours reads it to
// the end within its limit, only the numbers in the file could say otherwise.
func affordableOnce(data []byte, password string, rounds int64) bool {
	if rounds >= maxTotalRounds && !claimsMore(data, rounds) {
		if _, err := ReadOnce(data, withPassword(password)); err == nil {
			return true
		}
	}
	return affordable(data, password, rounds)
}

// claimsMore reports whether a number in the file could be a count of more rounds.
func claimsMore(data []byte, rounds int64) bool {
	return slices.ContainsFunc(countsIn(data), func(n int64) bool { return n > rounds })
}

// countsIn finds the DER numbers of three to eight bytes.
func countsIn(data []byte) []int64 {
	var out []int64
	for i := range data {
		if data[i] != 2 || i+1 >= len(data) {
			continue
		}
		n := int(data[i+1])
		if n < 3 || n > 8 || i+2+n > len(data) {
			continue
		}
		var count int64
		for _, b := range data[i+2 : i+2+n] {
			count = count<<8 | int64(b)
		}
		out = append(out, count)
	}
	return out
}

// FuzzPEMOracle changes PEM text and compares with crypto/tls.
func FuzzPEMOracle(f *testing.F) {
	addCorpus(f, func(data []byte) {
		if bytes.Contains(data, []byte(pemBegin)) {
			f.Add(data)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		compareWithTLS(t, data)
		if block, _ := pem.Decode(data); block != nil && block.Type == "CERTIFICATE" {
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
				_, err := parse(data, withPassword("x"), fuzzRounds)
				if err != nil {
					// It must have seen the certificate at least.
					require.NotErrorIs(t, err, ErrNoCertificate, fmt.Sprint(cert.Subject))
				}
			}
		}
	})
}
