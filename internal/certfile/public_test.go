package certfile

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParsePublic(t *testing.T) {
	k := testKeys(t)
	text := pems(k.root, k.leaf, k.root, k.intermediate)
	der := slices.Concat(k.root.Raw, k.leaf.Raw, k.intermediate.Raw)
	signed := seq(number(1), tlv(0x31), seq(oid(oidData)), tlv(0xa0, der), tlv(0x31))
	p7 := seq(oid(oidSignedData), explicit0(signed))
	legacy := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: BF-CBC,00\n\n" +
		"AAAA\n-----END RSA PRIVATE KEY-----\n"
	encrypted := func(e encryption) []byte { return pemOf("ENCRYPTED PRIVATE KEY", e.shroud(k.pkcs8)) }
	cases := map[string][]byte{
		"DER":        der,
		"P7B":        p7,
		"P7B in PEM": pemOf("PKCS7", p7),
		"a key beside": slices.Concat(pemOf("RSA PRIVATE KEY", k.pkcs1), text,
			pemOf("PRIVATE KEY", k.ecPKCS8)),
		"an encrypted key beside": slices.Concat(encrypted(modern("x", 2048)), text),
		"a key of an old cipher":  slices.Concat([]byte(legacy), text),
		"a key that costs much":   slices.Concat(encrypted(claimPBKDF2(1<<40)), text),
	}
	for name, data := range textForms(text) {
		cases[name] = data
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			public, err := ParsePublic(data)
			require.NoError(t, err)
			require.Len(t, public.Certificates, 3)
			for i, want := range []*x509.Certificate{k.root, k.leaf, k.intermediate} {
				assert.True(t, want.Equal(public.Certificates[i]))
			}
			pair, err := ParseWithoutKey(data, "")
			require.NoError(t, err)
			assert.True(t, k.leaf.Equal(pair.Leaf))
			assert.Len(t, pair.Chain, 2)
			assert.Nil(t, pair.Key)
			assert.Equal(t, public.Format, pair.Format)
		})
	}
}

func TestParsePublicRefuses(t *testing.T) {
	k := testKeys(t)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.key)
	require.NoError(t, err)
	many := bytes.Repeat(pemCert(k.leaf), maxItems+1)
	cut := pemCert(k.root)
	cut = cut[:len(cut)/2]
	damaged := bytes.Clone(k.root.Raw)
	damaged[5]++ // the length of what is signed
	for _, tt := range []struct {
		name string
		data []byte
		kind error
		says string
	}{
		{"nothing", nil, ErrFormat, "empty"},
		{"a key alone", pemOf("PRIVATE KEY", k.pkcs8), ErrNoCertificate, "no certificate in it"},
		{"a CSR", pemOf("CERTIFICATE REQUEST", csr), ErrNoCertificate, "certificate request"},
		{"a PFX", pfxFile(nil, plainSafe(certBag(k.leaf.Raw))), ErrFormat, "openssl pkcs12"},
		{"a PFX beside", slices.Concat(pems(k.root), pemOf("PKCS12", pfxFile(nil, plainSafe()))), ErrFormat, "PFX"},
		{"one of two is cut", slices.Concat(pems(k.leaf), cut), ErrFormat, "no end"},
		{
			"one of two is damaged", slices.Concat(pems(k.leaf), pemOf("CERTIFICATE", damaged)), ErrFormat,
			"can't be read",
		},
		{"too many", many, ErrTooLarge, "more than"},
		{"too large", make([]byte, maxFileSize+1), ErrTooLarge, "more than"},
		{"a web page", []byte("<html>"), ErrFormat, "web page"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			public, err := ParsePublic(tt.data)
			assert.Nil(t, public)
			require.ErrorIs(t, err, tt.kind)
			assert.Contains(t, err.Error(), tt.says)
			pair, err := ParseWithoutKey(tt.data, "")
			assert.Nil(t, pair)
			require.ErrorIs(t, err, tt.kind)
		})
	}
}

// What else is in the file is told: it could be meant for the key.
func TestParseWithoutKeyNamesWhatElseThereIs(t *testing.T) {
	k := testKeys(t)
	for label, what := range map[string]string{
		"OPENSSH PRIVATE KEY": "OpenSSH", "TSS2 PRIVATE KEY": "TPM", "CERTIFICATE REQUEST": "CSR",
	} {
		pair, err := ParseWithoutKey(append(pems(k.leaf), pemOf(label, []byte("any"))...), "")
		require.NoError(t, err, label)
		require.Len(t, pair.Deviations, 1, label)
		assert.Contains(t, pair.Deviations[0], what)
	}
}

func TestParseWithoutKeyPicksTheLeaf(t *testing.T) {
	k := testKeys(t)
	renewed := mustCert(t, certRecipe{
		subject: "Leaf", public: k.key.Public(), notAfter: testStart.AddDate(2, 0, 0),
		issuer: &k.intermediate, signer: k.caKey,
	})
	for _, tt := range []struct {
		name, selected string
		certs          []*x509.Certificate
		leaf           *x509.Certificate
		err            error
	}{
		{"alone", "", []*x509.Certificate{k.leaf}, k.leaf, nil},
		{"a CA alone", "", []*x509.Certificate{k.root}, k.root, nil},
		{"with its chain", "", []*x509.Certificate{k.root, k.intermediate, k.leaf}, k.leaf, nil},
		{"its predecessor beside", "", []*x509.Certificate{renewed, k.leaf, k.intermediate}, renewed, nil},
		{"two", "", []*x509.Certificate{k.leaf, k.other}, nil, ErrSeveralCertificates},
		{"one of two", sha256Hex(k.leaf), []*x509.Certificate{k.leaf, k.other}, k.leaf, nil},
		{"an issuer by its thumbprint", sha256Hex(k.root), []*x509.Certificate{k.leaf, k.root}, k.root, nil},
		{"none of two", strings.Repeat("0", 64), []*x509.Certificate{k.leaf, k.other}, nil, ErrNoCertificate},
		{"no thumbprint", "nonsense", []*x509.Certificate{k.leaf}, nil, ErrNoCertificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pair, err := ParseWithoutKey(pems(tt.certs...), tt.selected)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.True(t, tt.leaf.Equal(pair.Leaf))
		})
	}
}

func sha256Hex(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
