package certfile

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
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

// certWriter writes certificates that x509.CreateCertificate refuses to. Its zero
// parts are those of an ordinary certificate.
type certWriter struct {
	version, serial, issuer, subject, key, validity, ids, outer []byte
	extensions                                                  [][]byte
	behind                                                      []byte // behind the extensions
}

var sha256RSA = seq(oid("1.2.840.113549.1.1.11"), null())

func orElse(part, otherwise []byte) []byte {
	if part == nil {
		return otherwise
	}
	return part
}

// sign writes the certificate of public, signed by key.
func (w certWriter) sign(public *rsa.PublicKey, key *rsa.PrivateKey) []byte {
	bits := append([]byte{0}, x509.MarshalPKCS1PublicKey(public)...)
	validity := seq(tlv(23, []byte("250101000000Z")), tlv(24, []byte("21000101000000Z")))
	parts := [][]byte{
		orElse(w.version, tlv(0xa0, number(2))), orElse(w.serial, number(7)), sha256RSA,
		orElse(w.issuer, nameOfText(0x0c, "issuer")), orElse(w.validity, validity),
		orElse(w.subject, nameOfText(0x0c, "app")),
		orElse(w.key, seq(seq(oid(oidRSA), null()), tlv(3, bits))), w.ids,
	}
	if len(w.extensions) > 0 {
		parts = append(parts, tlv(0xa3, seq(w.extensions...)))
	}
	tbs := seq(append(parts, w.behind)...)
	digest := sha256.Sum256(tbs)
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return seq(tbs, orElse(w.outer, sha256RSA), tlv(3, append([]byte{0}, signature...)))
}

// attribute is one of a name, with a value of any type.
func attribute(id string, value []byte) []byte { return tlv(0x31, seq(oid(id), value)) }

const oidCommonName = "2.5.4.3"

func nameOfText(tag byte, text string) []byte {
	return seq(attribute(oidCommonName, tlv(tag, []byte(text))))
}

// extension is one of a certificate; critical is the content of its flag, if any.
func extension(id string, critical, value []byte) []byte {
	if critical == nil {
		return seq(oid(id), octets(value))
	}
	return seq(oid(id), tlv(1, critical), octets(value))
}

const (
	oidSKI = "2.5.29.14"
	oidSAN = "2.5.29.17"
	oidAKI = "2.5.29.35"
)

// oddCertificate is one that crypto/x509 refuses.
type oddCertificate struct {
	certWriter
	says    string // a part of the deviation
	subject string
}

// oddCertificates are those that others read.
func oddCertificates(k *keyring) map[string]oddCertificate {
	cases := map[string]oddCertificate{}
	for name, tt := range oddSerials() {
		cases["serial "+name] = oddCertificate{certWriter{serial: tlv(2, tt.content)}, "SerialNumber is " + tt.says, "CN=app"}
	}
	for name, tt := range oddNames() {
		cases["name: "+name] = oddCertificate{certWriter{subject: tt.name}, "Subject " + tt.says, tt.subject}
		cases["issuer: "+name] = oddCertificate{certWriter{issuer: tt.name}, "Issuer " + tt.says, "CN=app"}
	}
	for name, tt := range oddExtensions() {
		cases["extension: "+name] = oddCertificate{certWriter{extensions: tt.extensions}, tt.says, "CN=app"}
	}
	bits := tlv(3, append([]byte{0}, x509.MarshalPKCS1PublicKey(&k.key.PublicKey)...))
	bare, strange := seq(seq(oid(oidRSA)), bits), seq(seq(oid(oidRSA), seq()), bits)
	sha1RSA, noNull := seq(oid("1.2.840.113549.1.1.5"), null()), seq(oid("1.2.840.113549.1.1.11"))
	for name, tt := range map[string]oddCertificate{
		"rsaEncryption without NULL":       {certWriter{key: bare}, "public key: ", "CN=app"},
		"rsaEncryption, other parameters":  {certWriter{key: strange}, "public key: ", "CN=app"},
		"version 4":                        {certWriter{version: tlv(0xa0, number(3))}, "version: ", "CN=app"},
		"algorithms that differ":           {certWriter{outer: sha1RSA}, "SignatureAlgorithm is zero", "CN=app"},
		"algorithms that differ in a NULL": {certWriter{outer: noNull}, "SignatureAlgorithm is zero", "CN=app"},
		allOfThem: {certWriter{
			serial: number(-1), subject: nameOfText(19, "a_b"), issuer: nameOfText(19, "c@d"), key: bare,
			extensions: [][]byte{
				extension(oidAKI, flagged, seq(tlv(0x80, []byte{1, 2, 3, 4}))), sanOf(tlv(0x87, []byte{1})),
				extension("1.2.3", nil, nil), extension("1.2.3", nil, nil),
			},
		}, "there are 2 of it", "CN=a_b"},
	} {
		cases[name] = tt
	}
	return cases
}

const allOfThem = "all of them"

// flagged is the content of a BOOLEAN that is true.
var flagged = []byte{0xff}

func sanOf(names ...[]byte) []byte { return extension(oidSAN, nil, seq(names...)) }

type oddSerial struct {
	content []byte
	says    string
}

func oddSerials() map[string]oddSerial {
	bytesOf := func(first byte, zeros int) []byte { return append([]byte{first}, make([]byte, zeros)...) }
	return map[string]oddSerial{
		"-5":                {[]byte{0xfb}, "-5"},
		"of 20 bytes":       {bytesOf(0x80, 19), "-730750818665451459101842416358141509827966271488"},
		"with a zero octet": {[]byte{0, 0, 7}, "7"},
		"with octets of 1":  {[]byte{0xff, 0xff, 7}, "-249"},
		"of 100 bytes":      {bytesOf(0x80, 99), "a number of 800 bits"},
		"without content":   {nil, "0"},
	}
}

type oddName struct {
	name          []byte
	says, subject string
}

func oddNames() map[string]oddName {
	cn := attribute(oidCommonName, tlv(12, []byte("app")))
	// A text whose type doesn't allow it.
	text := func(tag byte, content, want string) oddName {
		return oddName{nameOfText(tag, content), "is read all the same", "CN=" + want}
	}
	// A value that isn't text, beside a common name.
	value := func(id string, value []byte) oddName {
		return oddName{seq(attribute(id, value), cn), "lacks " + id, "CN=app"}
	}
	return map[string]oddName{
		"@ in a PrintableString":      text(19, "svc@contoso.com", "svc@contoso.com"),
		"_ in a PrintableString":      text(19, "my_app", "my_app"),
		"Latin-1 in PrintableString":  text(19, "M\xfcller", "Müller"),
		"UTF-8 in an IA5String":       text(22, "Müller", "Müller"),
		"letters in a NumericString":  text(18, "a-1", "a-1"),
		"Latin-1 in a UTF8String":     text(12, "M\xfcller", "Müller"),
		"VisibleString":               text(26, "app", "app"),
		"GeneralString":               text(27, "app", "app"),
		"UniversalString":             text(28, "\x00\x00\x00a\x00\x01\xf6\x00", "a😀"),
		"BMPString with a surrogate":  text(30, "\xd8\x3d\xde\x00", "😀"),
		"UniversalString, no Unicode": value("2.5.4.10", tlv(28, []byte("\xff\xff\xff\xff"))),
		"BMPString of three bytes":    value("2.5.4.10", tlv(30, []byte("abc"))),
		"BIT STRING":                  value("2.5.4.45", tlv(3, []byte{0, 1})),
		"INTEGER":                     value("2.5.4.5", number(5)),
		"SEQUENCE":                    value("2.5.4.16", seq(tlv(12, []byte("street")))),
		"attribute without a value":   value("2.5.4.10", nil),
		"nothing but a BIT STRING":    {seq(attribute("2.5.4.45", tlv(3, []byte{0, 1}))), "lacks 2.5.4.45", ""},
		"no attribute":                {seq(tlv(0x31, number(1)), cn), "lacks what is no attribute", "CN=app"},
		"no list of sets":             {seq(number(1)), "is zero", ""},
	}
}

type oddExtensionList struct {
	extensions [][]byte
	says       string
}

func oddExtensions() map[string]oddExtensionList {
	of := func(says string, extensions ...[]byte) oddExtensionList { return oddExtensionList{extensions, says} }
	const san = "extension subjectAltName (2.5.29.17): "
	keyID := octets([]byte{1, 2, 3, 4})
	aki, ski := extension(oidAKI, flagged, seq(tlv(0x80, keyID[2:]))), extension(oidSKI, flagged, keyID)
	plainSKI, unknown := extension(oidSKI, nil, keyID), extension("1.2.3", nil, nil)
	policy := seq(oid("1.2.3"))
	constraints := func(value []byte) []byte { return extension("2.5.29.19", nil, value) }
	return map[string]oddExtensionList{
		"SAN with Latin-1":        of(san, sanOf(tlv(0x82, []byte("m\xfcller.de")))),
		"SAN with an odd address": of(san, sanOf(tlv(0x87, []byte{1, 2, 3}))),
		"SAN with an odd URI":     of(san, sanOf(tlv(0x86, []byte("http://[::1")))),
		"SAN with an odd mail":    of(san, sanOf(tlv(0x81, []byte("m\xfcller@x")))),
		"SAN that is no list":     of(san, extension(oidSAN, nil, number(5))),
		"SAN that is empty":       of(san, extension(oidSAN, flagged, nil)),
		"critical AKI":            of("authorityKeyIdentifier (2.5.29.35): ", aki),
		"critical SKI":            of("subjectKeyIdentifier (2.5.29.14): ", ski),
		"critical AIA":            of("authorityInfoAccess", extension("1.3.6.1.5.5.7.1.1", flagged, seq())),
		"two SKI":                 of("there are 2 of it", plainSKI, plainSKI),
		"three of an unknown":     of("1.2.3: there are 3", unknown, extension("1.2.3", flagged, nil), unknown),
		"SKI, no octet string":    of("subjectKeyIdentifier", extension(oidSKI, nil, number(1))),
		"key usage, no bits":      of("keyUsage", extension("2.5.29.15", flagged, octets([]byte{1}))),
		"basic constraints -1":    of("basicConstraints", constraints(seq(tlv(1, flagged), number(-1)))),
		"basic constraints cut":   of("basicConstraints", constraints([]byte{0x30, 9})),
		"extended key usage":      of("extKeyUsage", extension("2.5.29.37", nil, seq(number(1)))),
		"name constraints":        of("nameConstraints", extension("2.5.29.30", nil, seq())),
		"CRL points":              of("cRLDistributionPoints", extension("2.5.29.31", nil, number(1))),
		"policies twice":          of("certificatePolicies", extension("2.5.29.32", nil, seq(policy, policy))),
		"critical by a 1":         of("1.2.3: ", extension("1.2.3", []byte{1}, nil)),
		"no extension":            of("none is read", number(1)),
	}
}

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
		"modulus with a zero octet":   {key: rsaKey(append([]byte{0}, good...), 0)},
		"negative modulus":            {key: rsaKey(n.Bytes(), 0)},
		"no whole octets":             {key: rsaKey(good, 1)},
		"no key":                      {key: seq(seq(oid(oidRSA)))},
		"validity with a broken time": {validity: seq(tlv(23, []byte("25010100000")), tlv(23, []byte("300101000000Z")))},
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
	require.ErrorIs(t, err, ErrFormat)
}

// An odd issuer is found by its name and its signature, and one that can't be
// read is reported.
func TestOddIssuers(t *testing.T) {
	k := testKeys(t)
	otherKey, err := parseKey(k.otherPKCS8)
	require.NoError(t, err)
	ca, err := otherKey.open()
	require.NoError(t, err)
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
		_, strictErr := x509.ParseCertificate(raw)
		require.Equal(t, strictErr != nil, len(deviations) > 0)
		require.NotNil(t, cert.SerialNumber)
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			require.True(t, bytes.Contains(cert.RawSubjectPublicKeyInfo, key.N.Bytes()))
		}
	})
}
