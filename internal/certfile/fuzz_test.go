package certfile

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// addCorpus gives every file of the corpus to add, and fails if they are gone:
// a fuzzer without seeds finds nothing and passes.
func addCorpus(f *testing.F, add func(data []byte)) {
	f.Helper()
	for _, file := range corpusFiles(f) {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		add(data)
	}
}

// fuzzRounds is the budget of a fuzzed file: with the real one a run would
// derive keys for most of its time.
const fuzzRounds = 100_000

func FuzzParse(f *testing.F) {
	seeds := 0
	addCorpus(f, func(data []byte) {
		if len(data) > 64<<10 {
			return
		}
		seeds++
		f.Add(data, []byte(nil), "secret", true, "")
		f.Add(data, []byte(nil), "", false, "0123456789abcdef0123456789abcdef01234567")
	})
	k := testKeys(f)
	e := modern("secret", 1)
	bags := [][]byte{certBag(k.leaf.Raw), shroudedBag(e, k.pkcs8), nestedBag(certBag(k.root.Raw), keyBag(k.otherPKCS8))}
	for _, data := range [][]byte{
		pfxFile(nil, plainSafe(bags...)),
		pfxFile(modernMAC("secret", 1), encryptedSafeOf(e, bags...)),
		pfxFile(pbmac1(pbkdf2Recipe(oidHMACSHA256, []byte("secret"), 1, 32), oidHMACSHA256, 32),
			encryptedSafeOf(e, bags...)),
		toBER(pfxFile(modernMAC("secret", 1), encryptedSafeOf(e, bags...))),
		pfxOf(nil, toBER(seq(plainSafe(bags...)))),
		slices.Concat(pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8)),
		utf16Of(slices.Concat(pemCert(k.leaf), pemOf("RSA PRIVATE KEY", k.pkcs1)), 0, true),
		nest64(pfxFile(nil, plainSafe(bags...)), 2),
	} {
		seeds++
		f.Add(data, []byte(nil), "secret", true, "")
		f.Add(data, k.pkcs8, "secret", true, "")
	}
	f.Add(k.leaf.Raw, e.shroud(k.pkcs8), "secret", true, "")
	for _, c := range curveCases(f) {
		for _, der := range c.ecForms() {
			f.Add(c.cert.Raw, der, "", false, "")
			f.Add(slices.Concat(pemCert(c.cert), pemOf("EC PARAMETERS", oid(c.oid)), pemOf("EC PRIVATE KEY", der)),
				[]byte(nil), "", false, "")
			f.Add(pfxFile(nil, plainSafe(certBag(c.cert.Raw), keyBag(der))), []byte(nil), "", false, "")
		}
	}
	key, cert := newEd25519(f)
	for _, der := range edForms(key) {
		f.Add(cert.Raw, der, "", false, "")
		f.Add(pfxFile(nil, plainSafe(certBag(cert.Raw), shroudedBag(e, der))), []byte(nil), "secret", true, "")
	}
	require.Greater(f, seeds, 80)
	f.Fuzz(func(t *testing.T, data, key []byte, password string, given bool, thumbprint string) {
		before := bytes.Clone(data)
		start := time.Now()
		opts := Options{Key: key, Password: password, HasPassword: given, Thumbprint: thumbprint}
		pair, err := parse(data, opts, fuzzRounds)
		if d := time.Since(start); d > boundedWithin {
			t.Fatalf("took %v", d)
		}
		require.Equal(t, before, data, "the input was changed")
		if err == nil {
			checkPair(t, pair)
			return
		}
		require.Nil(t, pair)
		checkError(t, err, password)
	})
}

func checkPair(t *testing.T, pair *Pair) {
	t.Helper()
	require.True(t, publicOf(pair).Equal(pair.Leaf.PublicKey))
	requireWholeKey(t, pair.Key)
	require.Contains(t, []string{"PFX", "PEM", "DER"}, pair.Format)
	require.LessOrEqual(t, len(pair.Chain), maxChain)
	child := pair.Leaf
	for _, issuer := range pair.Chain {
		require.False(t, issuer.Equal(pair.Leaf))
		require.True(t, bytes.Equal(child.RawIssuer, issuer.RawSubject))
		child = issuer
	}
}

func checkError(t *testing.T, err error, password string) {
	t.Helper()
	known := false
	for _, sentinel := range []error{
		ErrWrongPassword, ErrPasswordRequired, ErrNoPrivateKey, ErrNoCertificate, ErrKeyMismatch,
		ErrKeySize, ErrSeveralKeys, ErrUnsupported, ErrFormat, ErrTooLarge,
	} {
		known = known || errors.Is(err, sentinel)
	}
	require.True(t, known, "no sentinel in %v", err)
	require.Less(t, len(err.Error()), 4000)
	require.NotContains(t, err.Error(), "\n")
}

func BenchmarkParse(b *testing.B) {
	k := testKeys(b)
	e, mac := modern("secret", 2048), modernMAC("secret", 2048)
	chain := [][]byte{certBag(k.root.Raw), certBag(k.intermediate.Raw), certBag(k.leaf.Raw)}
	for name, data := range map[string][]byte{
		"PEM":            slices.Concat(pems(k.leaf, k.intermediate, k.root), pemOf("PRIVATE KEY", k.pkcs8)),
		"PFX, 2048":      pfxFile(mac, encryptedSafeOf(e, chain...), plainSafe(shroudedBag(e, k.pkcs8))),
		"PFX, plain":     pfxFile(nil, plainSafe(append(chain, keyBag(k.pkcs8))...)),
		"PFX, plain BER": toBER(pfxFile(nil, plainSafe(append(chain, keyBag(k.pkcs8))...))),
		"PFX, base64":    nest64(pfxFile(nil, plainSafe(append(chain, keyBag(k.pkcs8))...)), 1),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data, withPassword("secret")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
