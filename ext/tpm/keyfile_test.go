package tpm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// field adds a part of a key file.
type field func(b *cryptobyte.Builder)

func oid(o asn1.ObjectIdentifier) field {
	return func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(o) }
}
func number(n int64) field  { return func(b *cryptobyte.Builder) { b.AddASN1Int64(n) } }
func octets(d []byte) field { return func(b *cryptobyte.Builder) { b.AddASN1OctetString(d) } }
func raw(d ...byte) field   { return func(b *cryptobyte.Builder) { b.AddBytes(d) } }

func tagged(n uint8, of ...field) field {
	return func(b *cryptobyte.Builder) { b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { all(b, of) }) }
}

func sequence(of ...field) field {
	return func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { all(b, of) }) }
}

func all(b *cryptobyte.Builder, of []field) {
	for _, f := range of {
		f(b)
	}
}

func textOf(t testing.TB, fields ...field) []byte {
	t.Helper()
	var b cryptobyte.Builder
	sequence(fields...)(&b)
	der, err := b.Bytes()
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

// ecPublic is the public area of an EC key, which a test may change.
func ecPublic(t testing.TB, change func(*tpm2.TPMTPublic)) []byte {
	t.Helper()
	template, err := NewKey{Key: selfsigned.EC}.template()
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]},
	})
	if change != nil {
		change(template)
	}
	return tpm2.Marshal(*template)
}

// Files from elsewhere: each gives an error that says what is wrong, or a key.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	public, private := octets(to2B(ecPublic(t, nil))), octets(to2B(make([]byte, 126)))
	owner := number(int64(tpm2.TPMRHOwner))
	with := func(change func(*tpm2.TPMTPublic)) field { return octets(to2B(ecPublic(t, change))) }
	step := func(command int64) field { return sequence(tagged(0, number(command)), tagged(1, octets(nil))) }
	steps := func(n int) field { return tagged(1, sequence(slices.Repeat([]field{step(0x16b)}, n)...)) }
	load := oid(oidLoadable)
	damaged, lacks, noKey := certtoken.ErrFormat, errors.ErrUnsupported, certtoken.ErrNoPrivateKey
	file := func(fields ...field) []byte { return textOf(t, fields...) }
	for name, c := range map[string]struct {
		file []byte
		want error
		text string
	}{
		"a good one":     {file(load, owner, public, private), nil, ""},
		"true as 1":      {file(load, tagged(0, raw(1, 1, 1)), owner, public, private), nil, ""},
		"signed parent":  {file(load, number(0x81000001-1<<32), public, private), nil, ""},
		"description":    {file(load, tagged(4, raw(12, 2, 'm', 'y')), owner, public, private), nil, ""},
		"a policy":       {file(load, steps(maxPolicy), owner, public, private), nil, ""},
		"nothing":        {nil, noKey, "CertFile"},
		"another kind":   {[]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), noKey, ""},
		"an empty block": {pem.EncodeToMemory(&pem.Block{Type: pemType}), damaged, ""},
		"two keys":       {slices.Repeat(file(load, owner, public, private), 2), damaged, "several"},
		"huge":           {file(load, owner, octets(make([]byte, maxDER)), private), damaged, "bytes"},
		"a huge file":    {make([]byte, maxFile+1), damaged, "larger"},
		"nested":         {pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: nested(10000)}), damaged, ""},
		"a nested policy": {file(load, tagged(1, raw(nested(5000)...)), owner, public, private), damaged,
			"policy"},
		"sealed":                {file(oid(oidSealed), owner, public, private), lacks, "sealed"},
		"unknown type":          {file(oid(asn1.ObjectIdentifier{1, 2, 3}), owner, public, private), lacks, "1.2.3"},
		"a long policy":         {file(load, steps(maxPolicy+1), owner, public, private), damaged, "policy"},
		"a signed policy":       {file(load, tagged(3, sequence()), owner, public, private), lacks, "signed"},
		"another policy":        {file(load, tagged(1, sequence(step(0x151))), owner, public, private), lacks, "0x151"},
		"no policy command":     {file(load, tagged(1, sequence(step(0x176))), owner, public, private), lacks, ""},
		"a field too much":      {file(load, tagged(6, number(1)), owner, public, private), lacks, "new"},
		"transient parent":      {file(load, number(0x80000000), public, private), damaged, "parent"},
		"no parent":             {file(load, number(0), public, private), damaged, "parent"},
		"the lockout's":         {file(load, number(int64(tpm2.TPMRHLockout)), public, private), damaged, "parent"},
		"a huge parent":         {file(load, number(1<<40), public, private), damaged, "parent"},
		"bytes behind":          {file(load, owner, public, private, number(1)), damaged, "end"},
		"importable, no secret": {file(oid(oidImportable), owner, public, private), damaged, "secret"},
		"a secret": {file(load, tagged(2, octets(to2B([]byte{1}))), owner, public, private), damaged,
			"secret"},
		"size too long":   {file(load, owner, octets([]byte{0xff, 0xff, 0}), private), damaged, "public"},
		"no private part": {file(load, owner, public, octets(to2B(nil))), damaged, "private"},
		"no public part":  {file(load, owner, octets(to2B(nil)), private), damaged, "public"},
		"a public part too long": {
			file(load, owner, octets(to2B(append(ecPublic(t, nil), 0))), private), damaged, "public",
		},
		"not for signing": {
			file(load, owner, with(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = false }), private),
			lacks, "signing",
		},
		"restricted": {
			file(load, owner, with(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = true }), private),
			lacks, "restricted",
		},
		"not on the curve": {
			file(load, owner, with(func(p *tpm2.TPMTPublic) {
				p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
					X: tpm2.TPM2BECCParameter{Buffer: []byte{1}}, Y: tpm2.TPM2BECCParameter{Buffer: []byte{1}},
				})
			}), private), damaged, "curve",
		},
		"a short RSA key": {
			file(load, owner, octets(to2B(rsaPublic(1024, 0))), private), certtoken.ErrKeySize, "",
		},
		"an RSA key of exponent 1": {
			file(load, owner, octets(to2B(rsaPublic(2048, 1))), private), damaged, "exponent",
		},
		"a key of another kind": {
			file(load, owner, octets(to2B([]byte{0, 8, 0, 11, 0, 4, 4, 0x72, 0, 0, 0, 5, 0, 11, 0, 0})), private),
			certtoken.ErrUnsupported, "0x8",
		},
	} {
		source, err := FromData(c.file, WithoutCertificate(), WithDevice("none"))
		require.NoError(t, err)
		_, err = source.Certificate(t.Context())
		if c.want == nil {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorIs(t, err, c.want, name)
		assert.ErrorContains(t, err, c.text, name)
	}
}

func nested(depth int) []byte {
	var der []byte
	for range depth {
		if len(der) < 0x80 {
			der = append([]byte{0x30, byte(len(der))}, der...)
		} else {
			der = append([]byte{0x30, 0x82, byte(len(der) >> 8), byte(len(der))}, der...)
		}
	}
	return der
}

func rsaPublic(bits int, exponent uint32) []byte {
	template, _ := NewKey{}.template()
	template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
		KeyBits: tpm2.TPMKeyBits(bits), Exponent: exponent,
	})
	modulus := bytes.Repeat([]byte{0xff}, bits/8)
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: modulus})
	return tpm2.Marshal(*template)
}

// corpus are the files that other programs wrote.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.pem")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 6, "the files of testdata are there")
	var files [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, data)
	}
	return files
}

// Whatever a file holds, it is refused or gives a key, and what is written of it is read again.
func FuzzKeyFile(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data)
		block, _ := pem.Decode(data)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte("-----BEGIN")) { // the fuzzer changes DER better than its base64
			data = pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: data})
		}
		file, _, err := parseFile(data)
		if err != nil {
			return
		}
		k, err := newFileKey(file, &config{})
		if err != nil || file.importable {
			return
		}
		written, err := file.pem()
		require.NoError(t, err)
		again, _, err := parseFile(written)
		require.NoError(t, err)
		k2, err := newFileKey(again, &config{})
		require.NoError(t, err)
		require.True(t, k.public.Equal(k2.public))
		require.Equal(t, file.policy, again.policy)
	})
}

// An importable key: one that was made elsewhere, and wrapped for this TPM.
func TestImportable(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	scalar, err := key.Bytes()
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	public := ecPublic(t, func(p *tpm2.TPMTPublic) {
		p.ObjectAttributes = tpm2.TPMAObject{UserWithAuth: true, SignEncrypt: true}
		p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]},
		})
	})
	area, err := unmarshalPublic(public)
	require.NoError(t, err)
	name, err := tpm2.ObjectName(area)
	require.NoError(t, err)
	sensitive := tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgECC,
		AuthValue:     tpm2.TPM2BAuth{Buffer: []byte("secret")},
		Sensitive:     tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgECC, &tpm2.TPM2BECCParameter{Buffer: scalar}),
	})
	parent, err := do(t.Context(), deviceOf(s.socket), func(c *connection) (*object, error) {
		o, err := c.parent(tpm2.TPMRHOwner, false, nil)
		c.drop(o)
		return o, err
	})
	require.NoError(t, err)
	wrap, err := tpm2.ImportEncapsulationKey(&parent.public)
	require.NoError(t, err)
	duplicate, secret, err := tpm2.CreateDuplicate(rand.Reader, wrap, name.Buffer, sensitive)
	require.NoError(t, err)
	file := textOf(t, oid(oidImportable), tagged(2, octets(to2B(secret))), number(int64(tpm2.TPMRHOwner)),
		octets(to2B(public)), octets(to2B(duplicate)))
	require.NoError(t, sign(t, s.alone(t, file, WithPassword(passwordIs("secret")))))
	assert.ErrorIs(t, sign(t, startTPM(t).alone(t, file, WithPassword(passwordIs("secret")))), ErrOtherTPM)
}

// A key under the storage key of RSA, as its file says (rsaParent).
func TestRSAParent(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	template, err := NewKey{Key: selfsigned.EC}.template()
	require.NoError(t, err)
	made, err := do(t.Context(), deviceOf(s.socket), func(c *connection) (*tpm2.CreateResponse, error) {
		parent, err := c.parent(tpm2.TPMRHOwner, true, nil)
		if err != nil {
			return nil, err
		}
		defer c.drop(parent)
		return tpm2.Create{ParentHandle: parent.authorized(), InPublic: tpm2.New2B(*template)}.Execute(c.tpm)
	})
	require.NoError(t, err)
	owner, public := number(int64(tpm2.TPMRHOwner)), octets(to2B(made.OutPublic.Bytes()))
	private := octets(to2B(made.OutPrivate.Buffer))
	yes := tagged(0, raw(1, 1, 0xff))
	file := textOf(t, oid(oidLoadable), yes, tagged(5, raw(1, 1, 0xff)), owner, public, private)
	require.NoError(t, sign(t, s.alone(t, file)))
	wrong := sign(t, s.alone(t, textOf(t, oid(oidLoadable), yes, owner, public, private)))
	assert.ErrorIs(t, wrong, ErrOtherTPM)
}

// Certificates in the file and beside it.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	file := s.make(t, NewKey{Key: selfsigned.EC})
	both, leaf := s.certify(t, file)
	other := certtokentest.NewCertificate(t)
	otherPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Leaf.Raw})
	path := s.write(t, "private.tpm", both)
	named := func(name string, data []byte) Option { return WithCertificateFile(s.write(t, name, data)) }
	for name, c := range map[string]struct {
		opts []Option
		file []byte
		want error
	}{
		"in the file":          {nil, both, nil},
		"with others":          {nil, slices.Concat(otherPEM, both), nil},
		"given":                {[]Option{WithCertificate(leaf)}, file, nil},
		"in a file of its own": {[]Option{WithCertificateFile(path)}, file, nil},
		"in DER":               {[]Option{named("public.cer", leaf.Raw)}, file, nil},
		"alone":                {[]Option{WithoutCertificate()}, both, nil},
		"none":                 {nil, file, certtoken.ErrNoCertificate},
		"of another key":       {nil, slices.Concat(otherPEM, file), certtoken.ErrKeyMismatch},
		"given, of another":    {[]Option{WithCertificate(other.Leaf)}, file, certtoken.ErrKeyMismatch},
		"no file":              {[]Option{WithCertificateFile(filepath.Join(s.dir, "none"))}, file, os.ErrNotExist},
		"no certificate in it": {[]Option{named("text", []byte("text"))}, file, certtoken.ErrNoCertificate},
		"damaged":              {[]Option{named("der", []byte{0x30, 1})}, file, certtoken.ErrFormat},
		"too many": {nil, slices.Concat(slices.Repeat(otherPEM, maxCertificates+1), file),
			certtoken.ErrFormat},
		"a folder": {[]Option{WithCertificateFile(s.dir)}, file, errAny},
	} {
		source, err := FromData(c.file, s.options(c.opts...)...)
		require.NoError(t, err)
		got, err := source.Certificate(t.Context())
		switch {
		case c.want == nil:
			require.NoError(t, err, name)
			if name != "alone" {
				assert.True(t, got.Leaf.Equal(leaf), name)
			}
		case c.want == errAny:
			assert.Error(t, err, name)
		default:
			assert.ErrorIs(t, err, c.want, name)
		}
	}
}

var errAny = errors.New("any")

// Options that are wrong, or don't go together, are reported all at once.
func TestOptions(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	_, err := FromFile("private.tpm", WithDevice(""), WithCertificate(nil), WithCertificateFile(""), WithIssuers(nil),
		WithParent(0x40000001), WithPCRs("sha256:24"), WithPCRs("md5:1"), WithPCRs(strings.Repeat("x", 1000)), nil)
	for _, name := range []string{"WithDevice", "WithCertificate", "WithCertificateFile", "WithIssuers", "WithParent",
		"WithPCRs: the PCRs \"sha256:24\"", "md5:1", "x…"} {
		assert.ErrorContains(t, err, name)
	}
	_, err = FromFile("private.tpm", WithCertificate(cert.Leaf), WithCertificateFile("public.cer"))
	assert.ErrorContains(t, err, "leave either out")
	_, err = FromFile("private.tpm", WithCertificate(cert.Leaf), WithoutCertificate())
	assert.ErrorContains(t, err, "leave either out")
	_, err = FromFile("")
	assert.ErrorContains(t, err, "no path")
	_, err = FromHandle(1)
	assert.ErrorContains(t, err, "0x81000000")
}

// Passwords that no TPM takes, and functions that fail.
func TestPasswords(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	for name, password := range map[string]Password{
		"too long":  passwordIs(strings.Repeat("secret", 20)),
		"33 bytes":  passwordIs(strings.Repeat("s", 33)),
		"zero byte": passwordIs("sec\x00ret"),
		"panic":     func(context.Context) (string, error) { panic("secret") },
	} {
		_, err := Create(t.Context(), NewKey{Key: selfsigned.EC}, s.options(WithPassword(password))...)
		require.ErrorContains(t, err, "the new key's password", name)
		assert.NotContains(t, err.Error(), "secret", name)
		assert.NotContains(t, err.Error(), "sec\x00", name)
	}
	long := strings.Repeat("secret", 20)
	file := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("secret")))
	err := sign(t, s.alone(t, file, WithPassword(passwordIs(long))))
	require.ErrorContains(t, err, "the key's password is longer")
	assert.NotContains(t, err.Error(), "secret")
	longest := WithPassword(passwordIs(strings.Repeat("s", 32)))
	require.NoError(t, sign(t, s.alone(t, s.make(t, NewKey{Key: selfsigned.EC}, longest), longest)))
}
