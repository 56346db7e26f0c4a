package certtoken_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func TestNewCertificate(t *testing.T) {
	key := newKey(t)
	leaf := leafOf(t, key, time.Now(), time.Hour)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)

	cases := map[string]struct {
		signer crypto.Signer
		leaf   *x509.Certificate
		chain  []*x509.Certificate
		is     error
		says   string
	}{
		"good": {signer: key, leaf: leaf},
		"good with chain": {
			signer: key,
			leaf:   leaf,
			chain:  []*x509.Certificate{leafOf(t, newKey(t), time.Now(), time.Hour)},
		},
		"opaque signer":       {signer: opaque{key}, leaf: leaf},
		"expired is accepted": {signer: key, leaf: leafOf(t, key, time.Now().Add(-2*time.Hour), time.Hour)},
		"no leaf":             {signer: key, is: certtoken.ErrNoCertificate},
		"no signer":           {leaf: leaf, is: certtoken.ErrNoPrivateKey},
		"a nil key":           {signer: (*rsa.PrivateKey)(nil), leaf: leaf, is: certtoken.ErrNoPrivateKey},
		"a nil issuer": {
			signer: key,
			leaf:   leaf,
			chain:  []*x509.Certificate{nil},
			says:   "nil certificate in Chain",
		},
		"another's key": {signer: newKey(t), leaf: leaf, is: certtoken.ErrKeyMismatch, says: "SHA-256"},
		"EC":            {signer: ec, leaf: leafOf(t, ec, time.Now(), time.Hour)},
		"Ed25519":       {signer: ed, leaf: leafOf(t, ed, time.Now(), time.Hour)},
		"P-224": {
			signer: p224,
			leaf:   leaf,
			is:     certtoken.ErrUnsupported,
			says:   "an EC key of the curve P-224 is not supported: use RSA, EC on P-256, P-384 or P-521, or Ed25519",
		},
		"another EC key": {signer: ec, leaf: leafOf(t, newECKey(t), time.Now(), time.Hour),
			is: certtoken.ErrKeyMismatch},
		"a nil EC key":      {signer: (*ecdsa.PrivateKey)(nil), leaf: leaf, is: certtoken.ErrNoPrivateKey},
		"a nil Ed25519 key": {signer: ed25519.PrivateKey(nil), leaf: leaf, is: certtoken.ErrNoPrivateKey},
		"1024 bits": {
			signer: short,
			leaf:   leafOf(t, short, time.Now(), time.Hour),
			is:     certtoken.ErrKeySize,
			says:   "1024 bits",
		},
		"RSA signer, EC leaf":  {signer: key, leaf: leafOf(t, ec, time.Now(), time.Hour), is: certtoken.ErrKeyMismatch},
		"a signer without key": {signer: wrongSigner{}, leaf: leaf, is: certtoken.ErrNoPrivateKey},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cert, err := certtoken.NewCertificate(c.signer, c.leaf, c.chain)
			if c.is == nil && c.says == "" {
				require.NoError(t, err)
				again, err := cert.Certificate(t.Context())
				require.NoError(t, err)
				assert.Same(t, cert, again, "a certificate is its own source")
				assert.Empty(t, cert.FileFormat())
				return
			}
			require.Error(t, err)
			assert.Nil(t, cert)
			if c.is != nil {
				assert.ErrorIs(t, err, c.is)
			}
			assert.ErrorContains(t, err, c.says)
			assert.True(t, strings.HasPrefix(err.Error(), "certtoken: "), err.Error())
		})
	}
}

func TestCertSourceFunc(t *testing.T) {
	cert := goldenCert(t)
	want := errors.New("vault is sealed")
	f := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { return cert, want })
	got, err := f.Certificate(t.Context())
	assert.Same(t, cert, got)
	assert.Same(t, want, err)
}

func keyPEM(t testing.TB, cert *certtoken.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func certPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// The forms that everybody has, through the public door; internal/certfile has
// the corpus of all others.
func TestParseCertificate(t *testing.T) {
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA())
	cert := certtokentest.NewCertificate(t, certtokentest.SignedBy(ca))
	key, leaf := cert.Signer.(*rsa.PrivateKey), cert.Leaf
	chain := []*x509.Certificate{ca.Leaf}
	pfx := func(e *pkcs12.Encoder, password string) []byte {
		data, err := e.Encode(key, leaf, chain, password)
		require.NoError(t, err)
		return data
	}
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(keyFile, keyPEM(t, cert), 0o600))
	password := certtoken.WithPassword("correct horse")

	cases := map[string]struct {
		data   []byte
		opts   []certtoken.CertOption
		format string
		is     error
	}{
		"PEM":                     {data: append(certPEM(leaf, ca.Leaf), keyPEM(t, cert)...), format: "PEM"},
		"PEM, key first, CA next": {data: append(keyPEM(t, cert), certPEM(ca.Leaf, leaf)...), format: "PEM"},
		"PEM in two files": {
			data:   certPEM(leaf, ca.Leaf),
			opts:   []certtoken.CertOption{certtoken.WithKeyFile(keyFile)},
			format: "PEM",
		},
		"PFX of today": {
			data:   pfx(pkcs12.Modern, "correct horse"),
			opts:   []certtoken.CertOption{password},
			format: "PFX",
		},
		"PFX of old": {
			data:   pfx(pkcs12.LegacyDES, "correct horse"),
			opts:   []certtoken.CertOption{password},
			format: "PFX",
		},
		"Key Vault's": {
			data:   []byte(base64.StdEncoding.EncodeToString(pfx(pkcs12.Modern, ""))),
			format: "PFX",
		},
		"a password not needed": {
			data:   append(certPEM(leaf, ca.Leaf), keyPEM(t, cert)...),
			opts:   []certtoken.CertOption{password},
			format: "PEM",
		},

		"wrong password": {
			data: pfx(pkcs12.Modern, "correct horse"),
			opts: []certtoken.CertOption{certtoken.WithPassword("hunter2")},
			is:   certtoken.ErrWrongPassword,
		},
		"a line too much": {
			data: pfx(pkcs12.Modern, "correct horse"),
			opts: []certtoken.CertOption{certtoken.WithPassword("correct horse\n")},
			is:   certtoken.ErrWrongPassword,
		},
		"no password": {data: pfx(pkcs12.Modern, "correct horse"), is: certtoken.ErrPasswordRequired},
		"truncated PFX": {
			data: pfx(pkcs12.Modern, "correct horse")[:900],
			opts: []certtoken.CertOption{password},
			is:   certtoken.ErrFormat,
		},
		"certificate only": {data: certPEM(leaf), is: certtoken.ErrNoPrivateKey},
		"key only":         {data: keyPEM(t, cert), is: certtoken.ErrNoCertificate},
		"mismatched pair":  {data: append(certPEM(ca.Leaf), keyPEM(t, cert)...), is: certtoken.ErrKeyMismatch},
		"nothing":          {is: certtoken.ErrFormat},
		"HTML":             {data: []byte("<!DOCTYPE html><html><body>Sign in</body></html>"), is: certtoken.ErrFormat},
		"thumbprint": {
			data: append(certPEM(leaf), keyPEM(t, cert)...),
			opts: []certtoken.CertOption{certtoken.WithThumbprint(strings.Repeat("00", 20))},
			is:   certtoken.ErrNoCertificate,
		},
		"no such key file": {
			data: certPEM(leaf),
			opts: []certtoken.CertOption{certtoken.WithKeyFile("no-such-file")},
			is:   os.ErrNotExist,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := certtoken.ParseCertificate(c.data, c.opts...)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				assert.Nil(t, got)
				assert.True(t, strings.HasPrefix(err.Error(), "certtoken: "), err.Error())
				assert.NotContains(t, err.Error(), "hunter2")
				assert.NotContains(t, err.Error(), "correct horse")
				return
			}
			require.NoError(t, err)
			assert.True(t, leaf.Equal(got.Leaf))
			require.Len(t, got.Chain, 1)
			assert.True(t, ca.Leaf.Equal(got.Chain[0]))
			assert.True(t, key.Equal(got.Signer))
			assert.Equal(t, c.format, got.FileFormat())
		})
	}
}

// A certificate that crypto/x509 refuses signs, is sent as it is, and says what is
// odd about it.
func TestDeviations(t *testing.T) {
	key := newKey(t)
	serial := big.NewInt(0x7f45_1234_5678_9abc)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "odd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(bytes.Clone(raw))
	require.NoError(t, err)
	ordinary, err := certtoken.NewCertificate(key, leaf, nil)
	require.NoError(t, err)
	require.Empty(t, ordinary.Deviations())

	// The serial number becomes negative: its first bit is the sign.
	raw[bytes.Index(raw, serial.Bytes())] |= 0x80
	_, err = x509.ParseCertificate(raw)
	require.ErrorContains(t, err, "negative serial number")

	file := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), keyPEM(t, ordinary)...)
	file = append(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...)
	cert, err := certtoken.ParseCertificate(file)
	require.NoError(t, err)
	assert.Equal(t, raw, cert.Leaf.Raw)
	assert.Equal(t, ordinary.Leaf.Subject.String(), cert.Leaf.Subject.String())
	assert.Negative(t, cert.Leaf.SerialNumber.Sign())
	said := cert.Deviations()
	require.Len(t, said, 2)
	assert.Contains(t, said[0], "leaf: serial number: negative")
	assert.Contains(t, said[1], "left out: ")
	said[0] = "changed by the caller"
	assert.NotEqual(t, said, cert.Deviations())

	assertion := certtoken.Assertion{ClientID: "app", Audience: "https://login.example/token"}
	signed, err := assertion.Sign(t.Context(), cert)
	require.NoError(t, err)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[0])
	require.NoError(t, err)
	sum := sha256.Sum256(raw)
	assert.Contains(t, string(header), base64.RawURLEncoding.EncodeToString(sum[:]))
}

func TestCertificatePrintsNoKey(t *testing.T) {
	cert := goldenCert(t)
	key := cert.Signer.(*rsa.PrivateKey)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out := fmt.Sprintf(verb, cert)
		assert.NotContains(t, out, key.D.String()[:40], verb)
		assert.NotContains(t, out, fmt.Sprintf("%x", key.D.Bytes())[:40], verb)
		assert.Contains(t, out, "certtoken-test", verb)
	}
	assert.Equal(t, "certtoken.Certificate(none)", (*certtoken.Certificate)(nil).String())
}

func newSharedCert(t *testing.T) *certtoken.Certificate {
	return certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
}

func TestCertSources(t *testing.T) {
	t.Run("Certificate", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return newSharedCert(t) })
	})
	t.Run("CertSourceFunc", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			return certtoken.CertSourceFunc(newSharedCert(t).Certificate)
		})
	})
	t.Run("CertFile", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			file := filepath.Join(t.TempDir(), "cert.pem")
			cert := newSharedCert(t)
			require.NoError(t, os.WriteFile(file, append(certPEM(cert.Leaf), keyPEM(t, cert)...), 0o600))
			return certtoken.CertFile(file)
		})
	})
	t.Run("NewestValid", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			return certtoken.NewestValid(newSharedCert(t), newSharedCert(t))
		})
	})
}

func TestNewestValid(t *testing.T) {
	now := time.Now()
	old := certOf(t, newKey(t), now.Add(-48*time.Hour), 240*time.Hour)
	recent := certOf(t, newKey(t), now.Add(-time.Hour), 240*time.Hour)
	future := certOf(t, newKey(t), now.Add(time.Hour), 240*time.Hour)
	expired := certOf(t, newKey(t), now.Add(-time.Minute), time.Second)
	broken := certtoken.CertSourceFunc(
		func(context.Context) (*certtoken.Certificate, error) { return nil, errors.New("vault is sealed") },
	)

	cases := map[string]struct {
		sources []certtoken.CertSource
		want    *certtoken.Certificate
		err     string
	}{
		"the newest":           {sources: []certtoken.CertSource{old, recent, future, expired}, want: recent},
		"in any order":         {sources: []certtoken.CertSource{recent, old}, want: recent},
		"a broken one":         {sources: []certtoken.CertSource{broken, old}, want: old},
		"a nil one":            {sources: []certtoken.CertSource{nil, old}, want: old},
		"none that works":      {sources: []certtoken.CertSource{broken, expired}, err: "source 1: vault is sealed"},
		"none that works: why": {sources: []certtoken.CertSource{broken, expired}, err: "has expired"},
		"none":                 {err: "has no source"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := certtoken.NewestValid(c.sources...).Certificate(t.Context())
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Same(t, c.want, got)
		})
	}
}

// During a rotation the new certificate isn't registered yet: the client falls
// back to the old one, and to the new one as soon as that is accepted.
func TestNewestValidInAClient(t *testing.T) {
	now := time.Now()
	old := certOf(t, newKey(t), now.Add(-48*time.Hour), 240*time.Hour)
	recent := certOf(t, newKey(t), now.Add(-time.Hour), 240*time.Hour)
	srv := certtokentest.New()
	srv.Register(clientID, old.Leaf)
	client, err := certtoken.NewClient(
		certtoken.Entra(tenantID),
		clientID,
		certtoken.NewestValid(old, recent),
		certtoken.WithHTTPClient(srv.Client()),
	)
	require.NoError(t, err)

	_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
	require.NoError(t, err)
	assert.Equal(t, 2, srv.Count(), "refused with the new one, granted with the old one")
	_, err = client.Token(t.Context(), "https://vault.azure.net/.default")
	require.NoError(t, err)
	assert.Equal(t, 3, srv.Count(), "the new one stands back")
}
