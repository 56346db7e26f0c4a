package certfile

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOddCertificates(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	for name, tt := range oddCertificates(k) {
		t.Run(name, func(t *testing.T) {
			raw := tt.sign(&k.key.PublicKey, k.key)
			_, strictErr := x509.ParseCertificate(raw)
			require.Error(t, strictErr, "crypto/x509 reads it")
			for form, data := range map[string][]byte{
				"PEM": slices.Concat(pemOf("CERTIFICATE", raw), pemOf("PRIVATE KEY", k.pkcs8)),
				"DER": slices.Concat(raw, k.pkcs8),
				"PFX": pfxFile(nil, plainSafe(certBag(raw), keyBag(k.pkcs8))),
			} {
				pair, err := Parse(data, Options{Thumbprint: sha256Hex(&x509.Certificate{Raw: raw})})
				require.NoError(t, err, form)
				leaf := pair.Leaf
				assert.Equal(t, raw, leaf.Raw)
				assert.True(t, bytes.Contains(raw, leaf.RawSubject) && bytes.Contains(raw, leaf.RawIssuer))
				assert.True(t, bytes.Contains(raw, leaf.RawTBSCertificate))
				assert.True(t, bytes.Contains(raw, leaf.RawSubjectPublicKeyInfo))
				assert.True(t, k.key.PublicKey.Equal(leaf.PublicKey))
				assert.Equal(t, 2025, leaf.NotBefore.Year())
				assert.Equal(t, 2100, leaf.NotAfter.Year())
				assert.Equal(t, tt.subject, leaf.Subject.String())
				assert.NotNil(t, leaf.SerialNumber)
				require.NotEmpty(t, pair.Deviations)
				assert.Contains(t, strings.Join(pair.Deviations, "\n"), tt.says)
				for _, text := range pair.Deviations {
					assert.True(t, strings.HasPrefix(text, "leaf: "), text)
				}
			}
			public, err := ParseWithoutKey(raw, "")
			require.NoError(t, err)
			assert.Equal(t, raw, public.Leaf.Raw)
			assert.Contains(t, strings.Join(public.Deviations, "\n"), tt.says)

			_, err = ParsePublic(raw)
			require.ErrorIs(t, err, ErrFormat, "anybody's certificate is read as crypto/x509 does")
		})
	}
}

// An extension that is wrong only in how it is marked is read, and so are those
// beside one that can't be read.
func TestOddExtensionsAreKept(t *testing.T) {
	k := testKeys(t)
	truth := []byte{0xff}
	raw := certWriter{extensions: [][]byte{
		extension(oidAKI, truth, seq(tlv(0x80, []byte{1, 2}))),
		extension(oidSAN, truth, seq(tlv(0x87, []byte{1}))),
		extension("2.5.29.15", truth, tlv(3, []byte{7, 0x80})),
		extension("1.2.3.4", nil, []byte{9}),
	}}.sign(&k.key.PublicKey, k.key)
	pair, err := Parse(raw, Options{Key: k.pkcs8})
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 2}, pair.Leaf.AuthorityKeyId)
	assert.Equal(t, x509.KeyUsageDigitalSignature, pair.Leaf.KeyUsage)
	require.Len(t, pair.Leaf.Extensions, 4)
	assert.True(t, pair.Leaf.Extensions[0].Critical)
	assert.Equal(t, []byte{9}, pair.Leaf.Extensions[3].Value)
	require.Len(t, pair.Leaf.UnhandledCriticalExtensions, 1)
	assert.Equal(t, oidSAN, pair.Leaf.UnhandledCriticalExtensions[0].String())
	assert.Len(t, pair.Deviations, 2)
}

// Times in other forms than RFC 5280 asks for are read as openssl reads them.
func TestOddTimes(t *testing.T) {
	k := testKeys(t)
	generalized := func(text string) []byte { return tlv(24, []byte(text)) }
	utc := func(text string) []byte { return tlv(23, []byte(text)) }
	until := generalized("21000101000000Z")
	for name, tt := range map[string]struct {
		from []byte
		want string
	}{
		"fraction":                 {generalized("20080801103026.6Z"), "2008-08-01T10:30:26.6Z"},
		"no seconds":               {generalized("202501010203Z"), "2025-01-01T02:03:00Z"},
		"no minutes":               {generalized("2025010102Z"), "2025-01-01T02:00:00Z"},
		"another zone":             {generalized("20250101020304+0200"), "2025-01-01T00:03:04Z"},
		"no seconds, two digits":   {utc("5101010203Z"), "1951-01-01T02:03:00Z"},
		"another zone, two digits": {utc("250101020304-0330"), "2025-01-01T05:33:04Z"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := certWriter{validity: seq(tt.from, until)}.sign(&k.key.PublicKey, k.key)
			pair, err := Parse(raw, Options{Key: k.pkcs8})
			require.NoError(t, err)
			want, err := time.Parse(time.RFC3339Nano, tt.want)
			require.NoError(t, err)
			assert.Equal(t, want.Truncate(time.Second), pair.Leaf.NotBefore.UTC())
			assert.Equal(t, 2100, pair.Leaf.NotAfter.Year())
			assert.Equal(t, raw, pair.Leaf.Raw)
			_, err = ParsePublic(raw)
			if err == nil {
				return // crypto/x509 reads some UTCTimes of other zones itself
			}
			require.NotEmpty(t, pair.Deviations)
			assert.Contains(t, pair.Deviations[0], "leaf: validity: ")
		})
	}
	for _, from := range [][]byte{generalized("20251301020304Z"), generalized("20250101020304"), utc("25"), null()} {
		raw := certWriter{validity: seq(from, until)}.sign(&k.key.PublicKey, k.key)
		_, err := Parse(raw, Options{Key: k.pkcs8})
		require.ErrorIs(t, err, ErrFormat)
	}
}

// Key, validity and structure stay strict.
func TestOddCertificatesThatAreRefused(t *testing.T) {
	k := testKeys(t)
	n := k.key.N
	rsaKey := func(modulus []byte, unused byte) []byte {
		public := seq(tlv(2, modulus), number(65537))
		return seq(seq(oid(oidRSA)), tlv(3, append([]byte{unused}, public...)))
	}
	good := append([]byte{0}, n.Bytes()...)
	for name, w := range map[string]certWriter{
		"modulus with a zero octet": {key: rsaKey(append([]byte{0}, good...), 0)},
		"negative modulus":          {key: rsaKey(n.Bytes(), 0)},
		"no whole octets":           {key: rsaKey(good, 1)},
		"no key":                    {key: seq(seq(oid(oidRSA)))},
		"validity with a broken time": {validity: seq(tlv(23, []byte("25010100000")),
			tlv(23, []byte("300101000000Z")))},
		"validity without an end":     {validity: seq(tlv(23, []byte("250101000000Z")))},
		"no serial number":            {serial: null()},
		"no name":                     {subject: null()},
		"bytes behind the extensions": {extensions: [][]byte{extension("1.2.3", nil, nil)}, behind: null()},
	} {
		if w.serial == nil {
			w.serial = number(-1) // so that crypto/x509 isn't the only one to judge
		}
		raw := w.sign(&k.key.PublicKey, k.key)
		_, err := Parse(raw, Options{Key: k.pkcs8})
		require.ErrorIs(t, err, ErrFormat, name)
	}
	odd := certWriter{serial: number(-1)}
	_, err := Parse(odd.sign(&k.key.PublicKey, k.key), Options{Key: k.otherPKCS8})
	require.ErrorIs(t, err, ErrKeyMismatch)
	_, err = Parse(append(odd.sign(&k.key.PublicKey, k.key), 0, 5), Options{Key: k.pkcs8})
	require.NoError(t, err, "zeros behind a file are nothing")
	pfx := pfxFile(nil, plainSafe(certBag(append(odd.sign(&k.key.PublicKey, k.key), 5)), keyBag(k.pkcs8)))
	_, err = Parse(pfx, Options{})
	require.NoError(t, err, "nor are bytes behind it in a PFX")
}

// An odd issuer is found by its name and its signature, and one that can't be
// read is reported.
func TestOddIssuers(t *testing.T) {
	k := testKeys(t)
	otherKey, err := parseKey(k.otherPKCS8, nil)
	require.NoError(t, err)
	opened, err := otherKey.open()
	require.NoError(t, err)
	ca := opened.(*rsa.PrivateKey)
	name := nameOfText(19, "ca@contoso.com")
	root := certWriter{subject: name, issuer: name, serial: number(-3)}.sign(&ca.PublicKey, ca)
	leaf := certWriter{issuer: name}.sign(&k.key.PublicKey, ca)
	stranger := certWriter{subject: name, issuer: name, serial: number(-4)}.sign(&k.key.PublicKey, k.key)
	key := pemOf("PRIVATE KEY", k.pkcs8)

	data := slices.Concat(pemOf("CERTIFICATE", stranger), pemOf("CERTIFICATE", root), key, pemOf("CERTIFICATE", leaf))
	pair, err := Parse(data, Options{Thumbprint: sha256Hex(&x509.Certificate{Raw: leaf})})
	require.NoError(t, err)
	require.Len(t, pair.Chain, 1)
	assert.Equal(t, root, pair.Chain[0].Raw)
	said := strings.Join(pair.Deviations, "\n")
	assert.Contains(t, said, "leaf: issuer: ")
	assert.Contains(t, said, "issuer 1: serial number: negative serial number; SerialNumber is -3")
	assert.NotContains(t, said, "-4", "a stranger's")

	broken := certWriter{subject: name, issuer: name, validity: seq()}.sign(&ca.PublicKey, ca)
	cut := pemOf("CERTIFICATE", root)
	for part, data := range map[string][]byte{
		"left out: a certificate in it can't be read: x509: ": pemOf("CERTIFICATE", broken),
		`left out: the PEM block "CERTIFICATE" has no end`:    cut[:len(cut)/2],
	} {
		pair, err := Parse(slices.Concat(pemOf("CERTIFICATE", leaf), key, data), Options{})
		require.NoError(t, err)
		assert.Empty(t, pair.Chain)
		assert.Contains(t, strings.Join(pair.Deviations, "\n"), part)
		_, err = ParseWithoutKey(slices.Concat(pemOf("CERTIFICATE", leaf), data), "")
		require.ErrorIs(t, err, ErrFormat)
	}
	pair, err = Parse(slices.Concat(pems(k.leaf, k.intermediate, k.root), key), Options{})
	require.NoError(t, err)
	assert.Empty(t, pair.Deviations)
}

// TestOpenSSLOnOddCertificates: a certificate that is read here has, where openssl
// reads it too, the same key, thumbprint, serial number and end. openssl reads
// most of them.
func TestOpenSSLOnOddCertificates(t *testing.T) {
	t.Parallel()
	skipInShort(t)
	openssl := tool(t, "openssl")
	k := testKeys(t)
	certs := map[string][]byte{}
	for name, odd := range oddCertificates(k) {
		certs[name] = odd.sign(&k.key.PublicKey, k.key)
	}
	whole := certs[allOfThem]
	i := 0
	for mutant := range mutations(whole) {
		if i++; i%5 == 0 { // the rest is read without openssl by TestMutatedCertificates
			certs[fmt.Sprint("mutation ", i)] = mutant
		}
	}
	dir := t.TempDir()
	both, oursOnly := 0, 0
	for name, raw := range certs {
		pair, err := ParseWithoutKey(raw, "")
		if err != nil {
			continue
		}
		file := filepath.Join(dir, "cert.der")
		require.NoError(t, os.WriteFile(file, raw, 0o600))
		out, err := exec.Command(openssl, "x509", "-inform", "DER", "-in", file, "-noout",
			"-modulus", "-fingerprint", "-sha256", "-serial", "-enddate").CombinedOutput()
		if err != nil {
			oursOnly++
			t.Logf("openssl does not read %s", name)
			continue
		}
		both++
		modulus := "Modulus=Wrong Algorithm type"
		if key, ok := pair.Leaf.PublicKey.(*rsa.PublicKey); ok {
			modulus = fmt.Sprintf("Modulus=%X", key.N)
		}
		serial := pair.Leaf.SerialNumber
		text := strings.NewReplacer(":", "", "\\\n", "").Replace(string(out)) // long numbers are wrapped
		assert.Contains(t, text, strings.ToUpper(sha256Hex(pair.Leaf)), name)
		assert.Contains(t, text, modulus, name)
		assert.Contains(t, text, fmt.Sprintf("%X", new(big.Int).Abs(serial)), name)
		assert.Contains(t, text, pair.Leaf.NotAfter.Format("2006 GMT"), name)
	}
	t.Logf("openssl reads %d of %d", both, both+oursOnly)
	assert.Greater(t, both, 40)
}

// TestMutatedCertificates breaks every part of an odd certificate: what is read
// has its bytes, and with the private key only its own.
func TestMutatedCertificates(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	raw := oddCertificates(k)[allOfThem].sign(&k.key.PublicKey, k.key)
	read := 0
	for mutant := range mutations(raw) {
		pair, err := Parse(mutant, Options{Key: k.pkcs8})
		if err != nil {
			checkError(t, err, testPassword)
			continue
		}
		read++
		require.Equal(t, mutant, pair.Leaf.Raw)
		require.True(t, k.key.PublicKey.Equal(pair.Leaf.PublicKey))
		require.True(t, k.key.Equal(pair.Key))
	}
	assert.Greater(t, read, 100)
}

// boundedWithin is far more than bounded work takes, with the race detector on a
// busy machine too, and far less than unbounded work does.
const boundedWithin = 2 * time.Minute

// A certificate of a megabyte takes no longer than any other file.
func TestOddCertificatesAreBounded(t *testing.T) {
	k := testKeys(t)
	repeat := func(part []byte, size int) []byte { return bytes.Repeat(part, size/len(part)) }
	const size = maxFileSize - 4<<10
	sets := repeat(attribute("2.5.4.45", tlv(3, []byte{0})), size)
	emails := repeat(tlv(0x81, []byte{0xff}), size)
	for name, w := range map[string]certWriter{
		"a name":                 {subject: seq(sets)},
		"both names":             {subject: seq(sets[:len(sets)/2]), issuer: seq(sets[:len(sets)/2])},
		"extensions":             {extensions: [][]byte{repeat(extension("1.2.3", nil, nil), size)}},
		"a subject's other name": {extensions: [][]byte{extension(oidSAN, nil, seq(emails))}},
		"a serial number":        {serial: tlv(2, append([]byte{0xff}, make([]byte, size)...))},
		"a hundred extensions": {extensions: [][]byte{
			repeat(seq(oid("2.5.29.17"), octets(make([]byte, size/99))), size),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := w.sign(&k.key.PublicKey, k.key)
			start := time.Now()
			pair, err := Parse(raw, Options{Key: k.pkcs8})
			assert.Less(t, time.Since(start), boundedWithin)
			require.NoError(t, err)
			assert.Less(t, len(strings.Join(pair.Deviations, "")), 4<<10)
		})
	}
}

// Long names aren't read again for each extension.
func TestExtensionsAreTriedWithoutTheNames(t *testing.T) {
	k := testKeys(t)
	name := seq(bytes.Repeat(attribute(oidCommonName, tlv(0x0c, []byte("a"))), 2000))
	work := func(extensions int) float64 {
		w := certWriter{subject: name, issuer: name, extensions: [][]byte{sanOf(tlv(0x87, []byte{1}))}}
		for i := range extensions {
			w.extensions = append(w.extensions, extension(fmt.Sprintf("1.2.3.%d", i), nil, nil))
		}
		raw := w.sign(&k.key.PublicKey, k.key)
		return testing.AllocsPerRun(1, func() {
			_, deviations, err := parseLenient(raw)
			require.NoError(t, err)
			require.Len(t, deviations, 1)
		})
	}
	assert.Less(t, work(99), 2*work(1))
}

// FuzzLenient changes certificates. Where crypto/x509 reads one, nothing deviates;
// where it doesn't, what is read has the bytes of the input, and the key that the
// strict reader finds in them.
func FuzzLenient(f *testing.F) {
	k := testKeys(f)
	for _, odd := range oddCertificates(k) {
		f.Add(odd.sign(&k.key.PublicKey, k.key))
	}
	f.Add(k.leaf.Raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		cert, deviations, err := parseCertificate(raw, false)
		if err != nil {
			return
		}
		require.Equal(t, raw, cert.Raw)
		strict, strictErr := x509.ParseCertificate(raw)
		if strictErr != nil || strict.PublicKey != nil {
			require.Equal(t, strictErr != nil, len(deviations) > 0)
		}
		require.NotNil(t, cert.SerialNumber)
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			require.True(t, bytes.Contains(cert.RawSubjectPublicKeyInfo, key.N.Bytes()))
		}
	})
}
