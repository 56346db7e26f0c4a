package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// curveCase is a curve with a key of it.
type curveCase struct {
	name, oid string
	curve     elliptic.Curve
	key       *ecdsa.PrivateKey
	cert      *x509.Certificate
}

func curveCases(tb testing.TB) []curveCase {
	tb.Helper()
	cases := []curveCase{
		{name: "P-256", oid: oidP256, curve: elliptic.P256()},
		{name: "P-384", oid: oidP384, curve: elliptic.P384()},
		{name: "P-521", oid: oidP521, curve: elliptic.P521()},
	}
	for i := range cases {
		c := &cases[i]
		var err error
		c.key, err = ecdsa.GenerateKey(c.curve, rand.Reader)
		require.NoError(tb, err)
		c.cert, err = certRecipe{subject: c.name, public: c.key.Public(), signer: c.key}.make()
		require.NoError(tb, err)
	}
	return cases
}

func (c curveCase) scalar() []byte {
	scalar, err := c.key.Bytes()
	if err != nil {
		panic(err)
	}
	return scalar
}

// point is the public key in one of the forms of SEC 1.
func (c curveCase) point(form byte) []byte {
	point, err := c.key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	odd := point[len(point)-1] & 1
	switch form {
	case pointCompressed:
		return append([]byte{pointCompressed | odd}, point[1:1+len(point)/2]...)
	case pointHybrid:
		return append([]byte{pointHybrid | odd}, point[1:]...)
	}
	return point
}

func bitString(b []byte) []byte { return tlv(3, []byte{0}, b) }

func sec1(scalar []byte, rest ...[]byte) []byte {
	return seq(append([][]byte{number(1), octets(scalar)}, rest...)...)
}

// numbers are the parameters of a curve; change, if given, changes them.
func (c curveCase) numbers(change func(p *elliptic.CurveParams, a *big.Int), generator byte) []byte {
	params := *c.curve.Params()
	a := new(big.Int).Sub(params.P, big.NewInt(3))
	if change != nil {
		change(&params, a)
	}
	size := (params.BitSize + 7) / 8
	octetsOf := func(n *big.Int) []byte { return octets(n.FillBytes(make([]byte, size))) }
	point := uncompressed(c.curve, params.Gx, params.Gy)
	if generator == pointCompressed {
		point = append([]byte{pointCompressed | point[len(point)-1]&1}, point[1:1+size]...)
	}
	return seq(number(1), seq(oid(oidPrimeField), tlv(2, integer(params.P))),
		seq(octetsOf(a), octetsOf(params.B), bitString([]byte("a seed"))),
		octets(point), tlv(2, integer(params.N)), number(1))
}

func explicit1(parts ...[]byte) []byte { return tlv(0xa1, parts...) }

// ecForms are the forms in which a key stands in files, all of them to be read.
func (c curveCase) ecForms() map[string][]byte {
	named, public := explicit0(oid(c.oid)), explicit1(bitString(c.point(pointUncompressed)))
	id, numbered := seq(oid(oidEC), oid(c.oid)), seq(oid(oidEC), c.numbers(nil, pointUncompressed))
	s := c.scalar()
	return map[string][]byte{
		"SEC 1":                       sec1(s, named, public),
		"SEC 1, no public key":        sec1(s, named),
		"SEC 1, compressed":           sec1(s, named, explicit1(bitString(c.point(pointCompressed)))),
		"SEC 1, hybrid":               sec1(s, named, explicit1(bitString(c.point(pointHybrid)))),
		"SEC 1, a zero too many":      sec1(append([]byte{0}, s...), named, public),
		"SEC 1, numbers":              sec1(s, explicit0(c.numbers(nil, pointUncompressed)), public),
		"SEC 1, compressed numbers":   sec1(s, explicit0(c.numbers(nil, pointCompressed))),
		"SEC 1, another public key":   sec1(s, named, explicit1(bitString(c.point(pointCompressed)[1:]))),
		"SEC 1, no curve":             sec1(s, public),
		"SEC 1, BER":                  toBER(sec1(s, named, public)),
		"PKCS #8":                     seq(number(0), id, octets(sec1(s, public))),
		"PKCS #8, curve twice":        seq(number(0), id, octets(sec1(s, named, public))),
		"PKCS #8, no public key":      seq(number(0), id, octets(sec1(s))),
		"PKCS #8, curve inside":       seq(number(0), seq(oid(oidEC)), octets(sec1(s, named, public))),
		"PKCS #8, curve inside, NULL": seq(number(0), seq(oid(oidEC), null()), octets(sec1(s, named))),
		"PKCS #8, numbers":            seq(number(0), numbered, octets(sec1(s))),
		"PKCS #8, attributes": seq(number(0), id, octets(sec1(s, public)),
			tlv(0xa0, seq(oid("1.2.3"), tlv(0x31)))),
		"PKCS #8 v2":                    seq(number(1), id, octets(sec1(s)), tlv(0x81, []byte{0}, c.point(0))),
		"PKCS #8, bytes behind the key": seq(number(0), id, octets(append(sec1(s, public), 0, 0))),
	}
}

func TestECForms(t *testing.T) {
	t.Parallel()
	for _, c := range curveCases(t) {
		e := modern(testPassword, 1)
		for name, der := range c.ecForms() {
			t.Run(c.name+", "+name, func(t *testing.T) {
				cert, label := pemCert(c.cert), pemOf("EC PRIVATE KEY", der)
				for form, file := range map[string][]byte{
					"PEM": slices.Concat(cert, label), "key first": slices.Concat(label, cert),
					"another label": slices.Concat(pemOf("PRIVATE KEY", der), cert),
					"DER":           slices.Concat(c.cert.Raw, der),
					"encrypted":     slices.Concat(cert, pemOf("ENCRYPTED PRIVATE KEY", e.shroud(der))),
					"PFX":           pfxFile(nil, plainSafe(certBag(c.cert.Raw), keyBag(der))),
					"shrouded":      pfxFile(nil, plainSafe(certBag(c.cert.Raw), shroudedBag(e, der))),
				} {
					pair, err := Parse(file, withPassword(testPassword))
					require.NoError(t, err, form)
					assert.True(t, c.key.Equal(pair.Key), form)
					assert.Empty(t, pair.Deviations)
				}
			})
		}
	}
}

// A curve that stands outside of the key: in a block before or behind it, encrypted or
// not, beside blocks of other curves.
func TestParametersBlock(t *testing.T) {
	t.Parallel()
	block := func(params []byte) []byte { return pemOf("EC PARAMETERS", params) }
	for _, c := range curveCases(t) {
		key := pemOf("EC PRIVATE KEY", sec1(c.scalar()))
		mine, others := block(oid(c.oid)), slices.Concat(block(oid(oidP521)), block(oid(oidP256)), block(oid(oidP384)))
		for name, data := range map[string][]byte{
			"before": slices.Concat(mine, key), "behind": slices.Concat(key, mine),
			"among others": slices.Concat(others, key), "others behind": slices.Concat(key, others),
			"numbers":        slices.Concat(block(c.numbers(nil, pointUncompressed)), key),
			"numbers as DER": slices.Concat(c.numbers(nil, pointUncompressed), sec1(c.scalar())),
			"encrypted": slices.Concat(mine,
				pemOf("ENCRYPTED PRIVATE KEY", modern(testPassword, 1).shroud(sec1(c.scalar())))),
			"beside a broken block": slices.Concat(block([]byte{5, 0}), key, mine),
		} {
			signer, err := ParseKey(data, testPassword, true)
			require.NoError(t, err, name)
			assert.True(t, c.key.Equal(signer), name)
		}
		// Without a block the length fits, and the certificate shows that it is right.
		pair, err := Parse(slices.Concat(key, pemCert(c.cert)), Options{})
		require.NoError(t, err)
		assert.True(t, c.key.Equal(pair.Key))
		_, err = ParseKey(key, "", false)
		require.ErrorIs(t, err, ErrFormat)
		assert.ErrorContains(t, err, "EC PARAMETERS")
		_, err = ParseKey(slices.Concat(block(oid("1.3.132.0.10")), key), "", false)
		require.ErrorIs(t, err, ErrUnsupported)
		assert.ErrorContains(t, err, "secp256k1")
	}
}

// Parameters that are those of a named curve but for one number are another curve: with
// a generator of one's choice, anybody makes a private key for a public key.
func TestCurveNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range curveCases(t) {
		base, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		require.NoError(t, err)
		for name, change := range map[string]func(p *elliptic.CurveParams, a *big.Int){
			"p": func(p *elliptic.CurveParams, _ *big.Int) { p.P = new(big.Int).Sub(p.P, big.NewInt(2)) },
			"a": func(_ *elliptic.CurveParams, a *big.Int) { a.SetInt64(0) },
			"b": func(p *elliptic.CurveParams, _ *big.Int) { p.B = big.NewInt(7) },
			"n": func(p *elliptic.CurveParams, _ *big.Int) { p.N = new(big.Int).Sub(p.N, big.NewInt(2)) },
			"generator": func(p *elliptic.CurveParams, _ *big.Int) {
				point, err := base.PublicKey.Bytes()
				require.NoError(t, err)
				half := len(point) / 2
				p.Gx, p.Gy = new(big.Int).SetBytes(point[1:1+half]), new(big.Int).SetBytes(point[1+half:])
			},
		} {
			params := c.numbers(change, pointUncompressed)
			_, err := ParseKey(sec1(c.scalar(), explicit0(params)), "", false)
			require.ErrorIs(t, err, ErrUnsupported, name)
			assert.ErrorContains(t, err, "aren't those of P-256", name)
			_, err = Parse(c.cert.Raw, Options{Key: seq(number(0), seq(oid(oidEC), params), octets(sec1(c.scalar())))})
			require.ErrorIs(t, err, ErrUnsupported, name)

			info := seq(seq(oid(oidEC), params), bitString(c.point(pointUncompressed)))
			k := testKeys(t)
			cert := certWriter{key: info}.sign(&k.key.PublicKey, k.key)
			_, err = Parse(cert, Options{Key: sec1(c.scalar(), explicit0(oid(c.oid)))})
			require.ErrorIs(t, err, ErrUnsupported, name)
			assert.ErrorContains(t, err, "the certificate ", name)
		}
	}
}

// Certificates that crypto/x509 refuses because of how their EC key is written.
func TestECCertificates(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	for _, c := range curveCases(t) {
		named := seq(oid(oidEC), oid(c.oid))
		key := pemOf("EC PRIVATE KEY", sec1(c.scalar(), explicit0(oid(c.oid))))
		for says, info := range map[string][]byte{
			"uncompressed":   seq(named, bitString(c.point(pointCompressed))),
			"not in the unc": seq(named, bitString(c.point(pointHybrid))),
			"its numbers": seq(seq(oid(oidEC), c.numbers(nil, pointCompressed)),
				bitString(c.point(pointUncompressed))),
		} {
			raw := certWriter{key: info}.sign(&k.key.PublicKey, k.key)
			_, err := x509.ParseCertificate(raw)
			require.Error(t, err)
			pair, err := Parse(slices.Concat(key, pemOf("CERTIFICATE", raw)), Options{})
			require.NoError(t, err, says)
			assert.True(t, c.key.PublicKey.Equal(pair.Leaf.PublicKey))
			assert.Equal(t, raw, pair.Leaf.Raw)
			assert.Equal(t, info, pair.Leaf.RawSubjectPublicKeyInfo)
			require.Len(t, pair.Deviations, 1)
			assert.Contains(t, pair.Deviations[0], says)
			_, err = ParsePublic(raw)
			require.ErrorIs(t, err, ErrFormat, "crypto/x509 judges what is somebody else's")
		}
		wrong := c.point(pointHybrid)
		wrong[0] ^= 1
		outside := c.point(pointUncompressed)
		outside[len(outside)-1] ^= 1
		for _, point := range [][]byte{wrong, outside, {}, {pointCompressed}, {pointHybrid},
			c.point(pointUncompressed)[1:]} {
			raw := certWriter{key: seq(named, bitString(point))}.sign(&k.key.PublicKey, k.key)
			_, err := Parse(raw, Options{Key: key})
			require.ErrorIs(t, err, ErrFormat)
		}
	}
}

func TestECScalars(t *testing.T) {
	t.Parallel()
	for _, c := range curveCases(t) {
		order := c.curve.Params().N
		named := explicit0(oid(c.oid))
		for name, scalar := range map[string][]byte{
			"nothing": {}, "zero": make([]byte, 32), "the order": order.Bytes(),
			"above": new(big.Int).Add(order, one).Bytes(), "far too long": bytes.Repeat([]byte{1}, 600),
		} {
			_, err := ParseKey(sec1(scalar, named), "", false)
			require.ErrorIs(t, err, ErrFormat, name)
			assert.ErrorContains(t, err, "the order of its curve", name)
		}
		signer, err := ParseKey(sec1([]byte{1}, named), "", false)
		require.NoError(t, err, "leading zeros left out")
		generator, err := signer.Public().(*ecdsa.PublicKey).Bytes()
		require.NoError(t, err)
		assert.Equal(t, uncompressed(c.curve, c.curve.Params().Gx, c.curve.Params().Gy), generator)
	}
}

// edForms are the forms in which an Ed25519 key stands in files.
func edForms(key ed25519.PrivateKey) map[string][]byte {
	id, content := seq(oid(oidEd25519)), octets(octets(key.Seed()))
	public := []byte(key.Public().(ed25519.PublicKey))
	attributes := tlv(0xa0, seq(oid("1.2.840.113549.1.9.9.20"), tlv(0x31, tlv(12, []byte("Curdle Chairs")))))
	return map[string][]byte{
		"v1":                     seq(number(0), id, content),
		"v1, attributes":         seq(number(0), id, content, attributes),
		"v1, NULL":               seq(number(0), seq(oid(oidEd25519), null()), content),
		"v2":                     seq(number(1), id, content, tlv(0x81, []byte{0}, public)),
		"v2, attributes":         seq(number(1), id, content, attributes, tlv(0x81, []byte{0}, public)),
		"v2, tagged explicitly":  seq(number(1), id, content, explicit1(bitString(public))),
		"v2, another public key": seq(number(1), id, content, tlv(0x81, []byte{0}, make([]byte, 32))),
		"BER":                    toBER(seq(number(0), id, content)),
	}
}

func newEd25519(tb testing.TB) (ed25519.PrivateKey, *x509.Certificate) {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(tb, err)
	cert, err := certRecipe{subject: "Ed25519", public: key.Public(), signer: key}.make()
	require.NoError(tb, err)
	return key, cert
}

func TestEd25519Forms(t *testing.T) {
	t.Parallel()
	key, cert := newEd25519(t)
	e := modern(testPassword, 1)
	for name, der := range edForms(key) {
		for form, file := range map[string][]byte{
			"PEM":       slices.Concat(pemOf("PRIVATE KEY", der), pemCert(cert)),
			"DER":       slices.Concat(der, cert.Raw),
			"encrypted": slices.Concat(pemCert(cert), pemOf("ENCRYPTED PRIVATE KEY", e.shroud(der))),
			"PFX":       pfxFile(nil, plainSafe(certBag(cert.Raw), shroudedBag(e, der))),
		} {
			pair, err := Parse(file, withPassword(testPassword))
			require.NoError(t, err, "%s, %s", name, form)
			assert.True(t, key.Equal(pair.Key))
		}
	}
	_, err := Parse(testKeys(t).leaf.Raw, Options{Key: edForms(key)["v2, another public key"]})
	require.ErrorIs(t, err, ErrKeyMismatch)
	assert.ErrorContains(t, err, "it is damaged")
	for name, content := range map[string][]byte{
		"no inner string": octets(key.Seed()), "31 bytes": octets(octets(key.Seed()[1:])), "nothing": octets(nil),
		"64 bytes": octets(octets(key)),
	} {
		_, err := ParseKey(seq(number(0), seq(oid(oidEd25519)), content), "", false)
		require.ErrorIs(t, err, ErrFormat, name)
	}
}

// The key of RFC 8410 §10.3, in its second form with attributes and a public key.
func TestRFC8410(t *testing.T) {
	t.Parallel()
	const text = "-----BEGIN PRIVATE KEY-----\n" +
		"MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" +
		"oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n" +
		"Z9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n"
	key, err := ParseKey([]byte(text), "", false)
	require.NoError(t, err)
	assert.Equal(t, "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
		hex.EncodeToString(key.Public().(ed25519.PublicKey)))
}

// FuzzECKey changes EC and Ed25519 keys: what crypto/x509 reads of the result is what is
// read here, and what is read here signs.
func FuzzECKey(f *testing.F) {
	for _, c := range curveCases(f) {
		for _, der := range c.ecForms() {
			f.Add(der)
		}
	}
	key, _ := newEd25519(f)
	for _, der := range edForms(key) {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		ours, err := parseKey(der, acceptedGroups())
		if err == nil && ours.signer != nil {
			requireWholeKey(t, ours.signer)
			require.True(t, ours.public.Equal(ours.signer.Public()))
		}
		if _, _, err := toDER(der); err != nil {
			return // crypto/x509 passes over wrong lengths of what is tagged explicitly
		}
		theirs, oracleErr := x509.ParsePKCS8PrivateKey(der)
		if oracleErr != nil {
			if theirs, oracleErr = x509.ParseECPrivateKey(der); oracleErr != nil {
				return
			}
		}
		public, _ := rightly(theirs, nil, nil)
		if _, isRSA := public.(*rsa.PublicKey); public != nil && !isRSA {
			require.NoError(t, err)
			require.True(t, public.Equal(ours.public))
		}
	})
}

// A curve that crypto/x509 reads and that isn't accepted: the certificate is named, and
// not said to have another key.
func TestP224Certificate(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	cert := mustCert(t, certRecipe{subject: "P-224", public: key.Public(), signer: key})
	for _, thumbprint := range []string{"", sha256Hex(cert)} {
		_, err = Parse(cert.Raw, Options{Key: testKeys(t).ecPKCS8, Thumbprint: thumbprint})
		require.ErrorIs(t, err, ErrUnsupported)
		assert.ErrorContains(t, err, "has a key of the kind EC P-224")
	}
}
