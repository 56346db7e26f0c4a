package selfsigned_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keyCase is a kind of key, and what a certificate of it says.
type keyCase struct {
	name      string
	opts      selfsigned.Options
	signature x509.SignatureAlgorithm
	usage     x509.KeyUsage
	extended  []x509.ExtKeyUsage
}

const (
	signing   = x509.KeyUsageDigitalSignature
	enciphers = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
)

var (
	client = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	both   = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
)

var keyCases = []keyCase{
	{"RSA", selfsigned.Options{}, x509.SHA256WithRSA, enciphers, both},
	{"EC", selfsigned.Options{Key: selfsigned.EC}, x509.ECDSAWithSHA256, signing, client},
	{
		"P-384", selfsigned.Options{Key: selfsigned.EC, Curve: elliptic.P384()},
		x509.ECDSAWithSHA384, signing, client,
	},
	{
		"P-521", selfsigned.Options{Key: selfsigned.EC, Curve: elliptic.P521()},
		x509.ECDSAWithSHA512, signing, client,
	},
	{"Ed25519", selfsigned.Options{Key: selfsigned.Ed25519}, x509.PureEd25519, signing, client},
}

func (k keyCase) generate(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := selfsigned.GenerateKey(k.opts)
	require.NoError(t, err)
	return key
}

func (k keyCase) check(t *testing.T, leaf *x509.Certificate) {
	t.Helper()
	assert.Equal(t, k.signature, leaf.SignatureAlgorithm)
	assert.Equal(t, k.usage, leaf.KeyUsage)
	assert.ElementsMatch(t, k.extended, leaf.ExtKeyUsage)
	assert.False(t, leaf.IsCA)
	assert.Len(t, leaf.SubjectKeyId, 20)
	assert.NoError(t, leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature))
}

func TestNewMakesEveryKindOfKey(t *testing.T) {
	for _, k := range keyCases {
		t.Run(k.name, func(t *testing.T) {
			cert := newCert(t, k.opts)
			k.check(t, cert.Leaf)
			switch pub := cert.Signer.Public().(type) {
			case *rsa.PublicKey:
				assert.Equal(t, selfsigned.RSA, k.opts.Key)
				assert.Equal(t, 2048, pub.N.BitLen())
			case *ecdsa.PublicKey:
				assert.Equal(t, selfsigned.EC, k.opts.Key)
				want := k.opts.Curve
				if want == nil {
					want = elliptic.P256()
				}
				assert.Equal(t, want, pub.Curve)
			case ed25519.PublicKey:
				assert.Equal(t, selfsigned.Ed25519, k.opts.Key)
			default:
				t.Errorf("a key of %T", pub)
			}
		})
	}
}

func TestKeyTypeHasAName(t *testing.T) {
	for key, want := range map[selfsigned.KeyType]string{
		selfsigned.RSA: "RSA", selfsigned.EC: "EC", selfsigned.Ed25519: "Ed25519", 7: "KeyType(7)",
	} {
		assert.Equal(t, want, key.String())
	}
}

func TestGenerateKeyReportsMistakes(t *testing.T) {
	_, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.EC, KeyBits: 2048})
	assert.ErrorContains(t, err, "selfsigned: option KeyBits is for RSA")
}

// kindsPFX are the modern files of TestEveryKindIsWritten: their password is hashed often.
var kindsPFX = make(map[string][]byte) // by tests that run one after the other

// The files of every kind of key are read by us and by others, and nothing is lost.
func TestEveryKindIsWritten(t *testing.T) {
	openssl := tool(t, "openssl")
	for _, k := range keyCases {
		t.Run(k.name, func(t *testing.T) {
			cert := newCert(t, k.opts)
			dir := t.TempDir()
			for _, form := range encodable() {
				opts := selfsigned.WriteOptions{Form: form.form, PEMName: "private.pem", Overwrite: true}
				files, err := selfsigned.WriteFiles(dir, cert, "a password", opts)
				require.NoError(t, err)
				args := append([]string{"pkcs12", "-in", files.PFX, "-passin", "pass:a password", "-nodes"},
					form.legacy...)
				samePair(t, cert, []byte(run(t, openssl, args...)))
				run(t, openssl, "pkey", "-in", files.PEM, "-check", "-noout")
				run(t, openssl, "verify", "-CAfile", files.PEM, files.PEM)
				for _, path := range []string{files.PFX, files.PEM} {
					data, err := os.ReadFile(path)
					require.NoError(t, err)
					samePair(t, cert, data)
					if path == files.PFX && form.form == selfsigned.PFXModern {
						kindsPFX[k.name] = data
					}
				}
			}
		})
	}
}

// samePair checks that a file holds this certificate and its key.
func samePair(t *testing.T, want *certtoken.Certificate, data []byte) {
	t.Helper()
	got, err := certtoken.ParseCertificate(data, certtoken.WithPassword("a password"))
	require.NoError(t, err)
	assert.Equal(t, want.Leaf.Raw, got.Leaf.Raw)
	assert.Equal(t, want.Signer.Public(), got.Signer.Public())
}

// Java reads EC since version 6 and Ed25519 since version 15.
func TestEveryKindOpensInKeytool(t *testing.T) {
	keytool := tool(t, "keytool")
	for _, k := range keyCases {
		t.Run(k.name, func(t *testing.T) {
			data := kindsPFX[k.name]
			if data == nil { // this test runs alone or first
				var err error
				data, err = selfsigned.EncodePFX(newCert(t, k.opts), "a password", selfsigned.PFXModern)
				require.NoError(t, err)
			}
			path := filepath.Join(t.TempDir(), "private.pfx")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			out := run(t, keytool, "-list", "-v", "-keystore", path, "-storetype", "PKCS12", "-storepass", "a password")
			assert.Contains(t, out, "PrivateKeyEntry")
		})
	}
}

func TestRequestIsReadByOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	for _, k := range keyCases {
		t.Run(k.name, func(t *testing.T) {
			request, err := selfsigned.Request(t.Context(), k.generate(t), selfsigned.Options{
				Subject: "hybridbrothers-demo", DNSNames: []string{"a.example"},
				URIs: []string{"spiffe://example.org/a"},
			})
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "request.der")
			require.NoError(t, os.WriteFile(path, request.Raw, 0o600))
			out := run(t, openssl, "req", "-in", path, "-inform", "DER", "-noout", "-verify", "-text")
			for _, part := range []string{
				"hybridbrothers-demo", "DNS:a.example, URI:spiffe://example.org/a",
				"X509v3 Key Usage: critical", "Digital Signature", "TLS Web Client Authentication",
			} {
				assert.Contains(t, out, part)
			}
		})
	}
}
