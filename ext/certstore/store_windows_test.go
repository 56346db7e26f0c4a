package certstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// named makes a certificate with a subject; the key is one of all tests, as making one takes long.
func named(t *testing.T, subject string) *certtoken.Certificate {
	t.Helper()
	return certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(subject))
}

func rsaKey(cert *certtoken.Certificate) *rsa.PrivateKey { return cert.Signer.(*rsa.PrivateKey) }

// A store that isn't there, and one without the certificate, are the same to a program: it
// has no certificate.
func TestStoreNoCertificate(t *testing.T) {
	absent, err := New(WithSubject("app"), WithStore("certtoken-test-absent"))
	require.NoError(t, err)
	_, err = absent.Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	assert.ErrorContains(t, err, `CurrentUser\certtoken-test-absent`)
	assert.ErrorContains(t, err, "no such store")

	store := newTestStore(t, false)
	_, err = store.source(t, WithSubject("app")).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	assert.ErrorContains(t, err, `none of 0 in the store has subject "app"`)

	store.add(t, named(t, "other").Leaf, nil)
	_, err = store.source(t, WithSubject("app")).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	assert.ErrorContains(t, err, `none of 1 in the store has subject "app"`)
}

// A certificate without its key, and one whose key is gone or another account's.
func TestStoreNoKey(t *testing.T) {
	store := newTestStore(t, false)
	store.add(t, named(t, "alone").Leaf, nil)
	_, err := store.source(t, WithSubject("alone")).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
	assert.ErrorContains(t, err, "the store holds the certificate alone")

	gone := &container{name: "certtoken-test-gone", provider: rsaAndAES, spec: signature}
	store.add(t, named(t, "gone").Leaf, gone)
	_, err = store.source(t, WithSubject("gone")).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
}

// Keys of the older kind, of both uses, in the user's store and the machine's. Wine's
// CryptAcquireCertificatePrivateKey doesn't look among the machine's keys.
func TestStoreCSP(t *testing.T) {
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSharedKey(),
		certtokentest.WithSubject("CA"))
	for _, c := range []struct {
		name    string
		spec    uint32
		machine bool
	}{
		{"signature", signature, false}, {"exchange", keyExchange, false}, {"machine", signature, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert := certtokentest.NewCertificate(t, certtokentest.WithSubject("app"), certtokentest.WithSharedKey(),
				certtokentest.SignedBy(ca))
			store := newTestStore(t, c.machine)
			store.add(t, cert.Leaf, newContainer(t, rsaKey(cert), rsaAndAES, c.spec, c.machine && !underWine()))
			store.add(t, ca.Leaf, nil)
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
				return store.source(t, WithSubject("app"))
			})

			got, err := store.source(t, WithSubject("app")).Certificate(t.Context())
			require.NoError(t, err)
			assert.Equal(t, cert.Leaf.Raw, got.Leaf.Raw)
			require.Len(t, got.Chain, 1)
			assert.Equal(t, ca.Leaf.Raw, got.Chain[0].Raw)
			for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				digest := make([]byte, hash.Size())
				signature, err := got.Signer.Sign(nil, digest, hash)
				require.NoError(t, err, "%v", hash)
				assert.NoError(t, rsa.VerifyPKCS1v15(&rsaKey(cert).PublicKey, hash, digest, signature))
			}
			if underWine() { // Windows opens such a key through CNG, which has PSS
				_, err = got.Signer.Sign(nil, digest[:], pss)
				require.ErrorIs(t, err, errors.ErrUnsupported)
				assert.ErrorContains(t, err, "older CSP kind")
			}
			token(t, store.source(t, WithSubject("app")), cert, certtoken.RS256, certtoken.WithPSSFallback())
		})
	}
}

// The oldest providers know no SHA-2. Windows' own are opened through CNG.
func TestStoreOldestCSP(t *testing.T) {
	cert := named(t, "app")
	store := newTestStore(t, false)
	store.add(t, cert.Leaf, newContainer(t, rsaKey(cert), rsaFull, signature, false))
	got, err := store.source(t, WithSubject("app")).Certificate(t.Context())
	require.NoError(t, err)
	_, err = got.Signer.Sign(nil, digest[:], crypto.SHA256)
	if !underWine() {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "too old for SHA-2")
}

// A key that isn't the certificate's is found out, by Windows or by the signature.
func TestStoreOtherKey(t *testing.T) {
	cert := named(t, "app")
	other := certtokentest.NewCertificate(t)
	store := newTestStore(t, false)
	store.add(t, cert.Leaf, newContainer(t, rsaKey(other), rsaAndAES, signature, false))
	got, err := store.source(t, WithSubject("app")).Certificate(t.Context())
	if err != nil {
		assert.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
		return
	}
	_, err = got.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
}

// Each way to name a certificate finds it among others, and of several the newest that has a key is taken.
func TestStoreSelection(t *testing.T) {
	now := time.Now()
	issue := func(subject string, from time.Duration, opts ...certtokentest.CertOption) *certtoken.Certificate {
		return certtokentest.NewCertificate(
			t,
			append(opts, certtokentest.WithSharedKey(), certtokentest.WithSubject(subject),
				certtokentest.WithValidity(now.Add(from), now.Add(time.Hour)))...)
	}
	store := newTestStore(t, false)
	put := func(cert *certtoken.Certificate) *certtoken.Certificate {
		store.add(t, cert.Leaf, newContainer(t, rsaKey(cert), rsaAndAES, signature, false))
		return cert
	}
	old, other := put(issue("app", -2*time.Hour)), put(issue("other", -time.Minute))
	templated := put(withTemplate(t, "1.3.6.1.4.1.311.21.8.1.2.3"))
	store.add(t, issue("app", -time.Minute).Leaf, nil) // newer, and without its key

	short, long := sha1.Sum(other.Leaf.Raw), sha256.Sum256(other.Leaf.Raw)
	for _, c := range []struct {
		name   string
		option Option
		want   *certtoken.Certificate
	}{
		{"subject", WithSubject("APP"), old},
		{"whole subject", WithSubject(other.Leaf.Subject.String()), other},
		{"SHA-1", WithThumbprint(hex.EncodeToString(short[:])), other},
		{"SHA-256", WithThumbprint(hex.EncodeToString(long[:])), other},
		{"template", WithTemplate("1.3.6.1.4.1.311.21.8.1.2.3"), templated},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := store.source(t, c.option).Certificate(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.want.Leaf.Raw, got.Leaf.Raw)
			signature, err := got.Signer.Sign(nil, digest[:], crypto.SHA256)
			require.NoError(t, err)
			assert.NoError(t, rsa.VerifyPKCS1v15(&rsaKey(c.want).PublicKey, crypto.SHA256, digest[:], signature))
		})
	}

	renewed := put(issue("app", -time.Hour))
	source := store.source(t, WithSubject("app"))
	got, err := source.Certificate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, renewed.Leaf.Raw, got.Leaf.Raw, "the newest that has a key")

	store.delete()
	_, err = store.source(t, WithSubject("app")).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	again, err := source.Certificate(t.Context())
	require.NoError(t, err)
	assert.Same(t, got, again)
	_, err = again.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.NoError(t, err, "the key's handle outlives the store's")
}

// Another account's rights: a store and a key that this one may not read.
func TestStoreRights(t *testing.T) {
	if !underWine() {
		t.Skip("it takes rights away from the machine's registry")
	}
	cert := named(t, "app")
	store := newTestStore(t, true)
	key := newContainer(t, rsaKey(cert), rsaAndAES, signature, false)
	store.add(t, cert.Leaf, key)
	source := store.source(t, WithSubject("app"))
	_, err := source.Certificate(t.Context())
	require.NoError(t, err)

	t.Run("key", func(t *testing.T) {
		denyRegistryKey(t, `CURRENT_USER\Software\Wine\Crypto\RSA\`+key.name)
		_, err := store.source(t, WithSubject("app")).Certificate(t.Context())
		require.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
		assert.NotErrorIs(t, err, certtoken.ErrNoCertificate)
	})
	t.Run("store", func(t *testing.T) {
		denyRegistryKey(t, `MACHINE\Software\Microsoft\SystemCertificates\`+store.name)
		_, err := store.source(t, WithSubject("app")).Certificate(t.Context())
		require.ErrorIs(t, err, windows.ERROR_ACCESS_DENIED)
		assert.NotErrorIs(t, err, certtoken.ErrNoCertificate, "it may be there")
	})
	_, err = store.source(t, WithSubject("app")).Certificate(t.Context())
	require.NoError(t, err, "given back")
}

// CNG's signatures, made by the system: by keys of this process, as wine has no others.
func TestCNG(t *testing.T) {
	for name, kind := range map[string]certtokentest.KeyKind{
		"RSA": certtokentest.RSA, "P-256": certtokentest.P256, "P-384": certtokentest.P384, "P-521": certtokentest.P521,
	} {
		t.Run(name, func(t *testing.T) {
			cert := certtokentest.NewCertificate(t, certtokentest.WithSubject("app"), certtokentest.WithKeyKind(kind))
			form, blob, alg := "RSAFULLPRIVATEBLOB", []byte(nil), certtoken.RS256
			switch key := cert.Signer.(type) {
			case *rsa.PrivateKey:
				blob = rsaFullBlob(key)
			case *ecdsa.PrivateKey:
				form, blob, alg = "ECCPRIVATEBLOB", ecBlob(t, key), ""
			}
			_, err := importCNG(t, form, blob)
			if err != nil && underWine() && kind != certtokentest.RSA {
				t.Skipf("wine has no EC keys: %v", err)
			}
			// Each source has a handle of its own: after a PSS signature wine's NCryptSignHash
			// refuses to make one of PKCS #1 v1.5 with the same handle.
			newSource := func(t *testing.T) certtoken.CertSource {
				key, err := importCNG(t, form, blob)
				require.NoError(t, err)
				source, err := newSource(func(*config, time.Time) (*found, error) {
					return &found{leaf: cert.Leaf, key: key}, nil
				}, []Option{WithSubject("app")})
				require.NoError(t, err)
				return source
			}
			certtokentest.TestCertSource(t, newSource)
			if alg == certtoken.RS256 {
				token(t, newSource(t), cert, certtoken.PS256)
				token(t, newSource(t), cert, certtoken.RS256, certtoken.WithAlgorithm(certtoken.RS256))
			}
		})
	}
}

// token gets a token from a test endpoint of Entra ID's kind, which checks the signature, by
// the algorithm that is expected.
func token(t *testing.T, source certtoken.CertSource, cert *certtoken.Certificate, alg certtoken.Algorithm,
	opts ...certtoken.AuthorityOption,
) {
	t.Helper()
	srv := certtokentest.New()
	srv.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com", opts...), "client-id", source,
		certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
	require.NoError(t, err)
	assert.EqualValues(t, alg, srv.LastRequest().AssertionHeader["alg"])
}
