package keyvault_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/selfsigned"
)

// Every algorithm of an assertion is signed by the vault, with a digest that is
// computed here.
func TestSigningAlgorithms(t *testing.T) {
	v := newVault(t, firstCert(t))
	source := fromKey(t, v)
	cert := load(t, source)
	for _, alg := range []certtoken.Algorithm{certtoken.RS256, certtoken.RS384, certtoken.RS512, certtoken.PS256,
		certtoken.PS384, certtoken.PS512} {
		_, err := certtoken.Assertion{
			ClientID:  "client",
			Audience:  "https://issuer.example",
			Algorithm: alg,
		}.Sign(
			t.Context(),
			cert,
		)
		require.NoError(t, err)
		assert.Equal(t, "app/"+v.versions[0].id+" "+string(alg), v.signed[len(v.signed)-1])
	}
	assert.Zero(t, v.counted("secrets"), "the key stays in the vault, and so does its secret")
}

// A key on a curve signs by the algorithm of the curve, in a vault that takes nothing else.
// The signature that comes out is in the form of Go's keys, whatever hash was asked for.
func TestCurves(t *testing.T) {
	for kind, alg := range map[certtokentest.KeyKind]certtoken.Algorithm{
		certtokentest.P256: certtoken.ES256, certtokentest.P384: certtoken.ES384, certtokentest.P521: certtoken.ES512,
	} {
		made := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
		v := newVault(t, made)
		both(t, func(t *testing.T, from maker) {
			srv := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
			srv.Register("client-id", made.Leaf)
			client, err := certtoken.NewClient(srv.Authority(), "client-id", from(t, v),
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.EqualValues(t, alg, srv.LastRequest().AssertionHeader["alg"])
		})
		assert.Equal(t, []string{"app/" + v.versions[0].id + " " + string(alg)}, v.signed)

		signer := load(t, fromKey(t, v)).Signer
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			digest := bytes.Repeat([]byte{0xa5}, hash.Size())
			signature, err := signer.Sign(rand.Reader, digest, hash)
			require.NoError(t, err, "%v %v", kind, hash)
			assert.True(t, ecdsa.VerifyASN1(made.Leaf.PublicKey.(*ecdsa.PublicKey), digest, signature))
		}
		_, err := signer.Sign(rand.Reader, make([]byte, 32), &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
		assert.ErrorIs(t, err, errors.ErrUnsupported)

		v.versions[0].signer = certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind)).Signer
		_, err = signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	}
}

// A secret holds an EC pair as PFX or PEM, and a renewed version may have a key of another
// type.
func TestRenewedWithAnotherType(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			load(t, source)
			ec := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
			next := v.add(t, ec)
			data, err := selfsigned.EncodePEM(ec)
			require.NoError(t, err)
			v.change(func() { next.contentType, next.value = pemType, string(data) })
			time.Sleep(15 * time.Minute)
			load(t, source)
			synctest.Wait()
			assert.True(t, load(t, source).Leaf.Equal(ec.Leaf))
			assert.NoError(t, source.Health())
		})
	})
}

func TestUnsupportedSignatures(t *testing.T) {
	v := newVault(t, firstCert(t))
	signer := load(t, fromKey(t, v)).Signer
	for _, opts := range []crypto.SignerOpts{
		crypto.SHA1,
		crypto.MD5SHA1,
		crypto.SHA3_256,
		&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256},
		&rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256},
	} {
		_, err := signer.Sign(rand.Reader, make([]byte, opts.HashFunc().Size()), opts)
		assert.ErrorIs(t, err, errors.ErrUnsupported)
	}
	_, err := signer.Sign(rand.Reader, make([]byte, 20), crypto.SHA256)
	assert.ErrorContains(t, err, "digest of 20 bytes")
	_, err = signer.Sign(rand.Reader, nil, nil)
	assert.Error(t, err)
	assert.Empty(t, v.signed)

	_, err = signer.Sign(rand.Reader, make([]byte, 32), &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	assert.NoError(t, err)
}

// A key that isn't the certificate's is found out by its first signature.
func TestKeyMismatch(t *testing.T) {
	v := newVault(t, firstCert(t))
	v.versions[0].signer = secondCert(t).Signer
	_, err := certtoken.Assertion{
		ClientID: "client",
		Audience: "https://issuer.example",
	}.Sign(
		t.Context(),
		load(t, fromKey(t, v)),
	)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
}

// A renewed version whose key doesn't sign isn't taken up.
func TestRenewedKeyMustSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, firstCert(t))
		source := fromKey(t, v)
		cert := load(t, source)
		next := v.add(t, secondCert(t))
		v.change(func() { next.signer = cert.Signer })
		v.fail = func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, "/keys/app/"+next.id) && req.Header.Get("Authorization") != "" {
				return answer(
					req,
					http.StatusForbidden,
					`{"error":{"code":"Forbidden","message":"sign is not permitted"}}`,
				), nil
			}
			return nil, nil
		}
		time.Sleep(15 * time.Minute)
		load(t, source)
		synctest.Wait()
		assert.Same(t, cert, load(t, source))
		assert.ErrorContains(t, source.Health(), "keys/sign (role Key Vault Crypto User)")
		signs(t, cert)
	})
}

func TestKeyDisabled(t *testing.T) {
	v := newVault(t, firstCert(t))
	cert := load(t, fromKey(t, v))
	v.change(func() { v.versions[0].disabled = true })
	_, err := certtoken.Assertion{ClientID: "client", Audience: "https://issuer.example"}.Sign(t.Context(), cert)
	assert.ErrorIs(t, err, keyvault.ErrDisabled)
}

func TestUnusableCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	p224, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	// Of the same length, so that all else stays right: a point that nobody looks at.
	p256k := &x509.Certificate{Raw: bytes.ReplaceAll(der,
		[]byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21}, []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a})}
	ed25519 := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.Ed25519))

	for _, test := range []struct {
		name string
		leaf *x509.Certificate
		kid  string
		want error
		says string
	}{
		{name: "P-224", leaf: p224, want: certtoken.ErrUnsupported, says: "the curve P-224: make the certificate with"},
		{name: "P-256K", leaf: p256k, want: certtoken.ErrUnsupported, says: "the key is on P-256K"},
		{name: "Ed25519", leaf: ed25519.Leaf, want: certtoken.ErrUnsupported,
			says: "a vault signs with RSA and EC keys"},
		{name: "no DER", leaf: &x509.Certificate{Raw: []byte("junk")}, want: certtoken.ErrFormat},
		{name: "no certificate", leaf: &x509.Certificate{}, says: "is it a vault"},
		{name: "key of another vault", kid: "https://evil.vault.azure.net/keys/app/1", says: "isn't in this vault"},
		{name: "key without version", kid: vaultURL + "/keys/app", says: "isn't a version"},
		{name: "no key", kid: "none", says: "isn't in this vault"},
		{name: "a path", kid: vaultURL + "/keys/..%2f/1", says: "isn't a version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			if test.leaf != nil {
				v.versions[0].cert = &certtoken.Certificate{Leaf: test.leaf}
			}
			if test.kid != "" {
				v.versions[0].kid = test.kid
			}
			_, err := fromKey(t, v).Certificate(t.Context())
			require.ErrorContains(t, err, test.says)
			if test.want != nil {
				assert.ErrorIs(t, err, test.want)
			}
		})
	}
}

func TestIssuers(t *testing.T) {
	root := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.AsCA(),
		certtokentest.WithSubject("root"),
	)
	ca := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.AsCA(),
		certtokentest.WithSubject("CA"),
		certtokentest.SignedBy(root),
	)
	stranger := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("stranger"))
	v := newVault(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.SignedBy(ca)))

	cert := load(t, fromKey(t, v, keyvault.WithIssuers(root.Leaf, stranger.Leaf), keyvault.WithIssuers(ca.Leaf)))
	require.Len(t, cert.Chain, 2)
	assert.True(t, cert.Chain[0].Equal(ca.Leaf))
	assert.True(t, cert.Chain[1].Equal(root.Leaf))

	_, err := fromKey(t, v, keyvault.WithIssuers(stranger.Leaf)).Certificate(t.Context())
	assert.ErrorContains(t, err, "WithIssuers")
	assert.Empty(t, load(t, fromKey(t, v)).Chain)
}

// The context of the token request ends a signature, and so does the time limit.
func TestSigningEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, firstCert(t))
		cert := load(t, fromKey(t, v))
		v.fail = hang
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := certtoken.Assertion{ClientID: "client", Audience: "https://issuer.example"}.Sign(ctx, cert)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(start))

		start = time.Now()
		_, err = cert.Signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 20*time.Second, time.Since(start))
	})
}

// A throttled signature is tried again when the vault says; while a long pause
// lasts, nothing is sent.
func TestSigningThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, firstCert(t))
		cert := load(t, fromKey(t, v))
		signs(t, cert)
		v.down(http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}})
		time.AfterFunc(time.Second, v.up)
		start := time.Now()
		signs(t, cert)
		assert.Equal(t, 3*time.Second, time.Since(start))

		v.down(
			http.StatusTooManyRequests,
			http.Header{"Retry-After": {time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)}},
		)
		_, err := cert.Signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		require.ErrorContains(t, err, "429")
		asked := v.counted("keys")
		v.up()
		time.Sleep(time.Minute)
		_, err = cert.Signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		assert.ErrorContains(t, err, "1m0s at the earliest")
		assert.Equal(t, asked, v.counted("keys"))
		time.Sleep(time.Minute)
		signs(t, cert)
	})
}

// The vault's challenge says what the token is for, and can't say everything.
func TestChallenge(t *testing.T) {
	v := newVault(t, firstCert(t))
	cred := &credential{}
	source, err := keyvault.FromKey(vaultURL, "app", cred, v.at(quick))
	require.NoError(t, err)
	cert := load(t, source)
	signs(t, cert)
	signs(t, cert)
	require.Len(t, cred.asked, 2, "once for certificates, once for keys")
	assert.Equal(t, []string{"https://vault.azure.net/.default"}, cred.asked[0].Scopes)
	assert.Equal(t, "00000000-0000-0000-0000-000000000001", cred.asked[0].TenantID)
	assert.Equal(t, []string{"https://vault.azure.net/.default"}, cred.asked[1].Scopes)

	for domain, says := range map[string]string{
		"https://graph.microsoft.com": "the token stays here",
		"https://azure.net.evil.com":  "the token stays here",
		"":                            "names no resource",
		"vault":                       "no URL",
	} {
		v := newVault(t, firstCert(t))
		v.domain = domain
		cred := &credential{}
		source, err := keyvault.FromKey(vaultURL, "app", cred, v.at(quick))
		require.NoError(t, err)
		_, err = source.Certificate(t.Context())
		require.ErrorContains(t, err, says)
		assert.Empty(t, cred.asked, "no token was asked for")
	}

	v = newVault(t, firstCert(t))
	v.domain = "https://localhost"
	load(t, fromKey(t, v, keyvault.DangerouslyAllowAnyChallenge()))
}

// Another user's transport may answer anything.
func TestOddAnswers(t *testing.T) {
	for _, body := range []string{"", "null", "[]", "{", `{"id":1}`, `{"id":"x","cer":"AAAA"}`,
		`{"id":"a/b","cer":"AAAA","kid":"%"}`} {
		v := newVault(t, firstCert(t))
		v.fail = func(req *http.Request) (*http.Response, error) { return answer(req, http.StatusOK, body), nil }
		both(t, func(t *testing.T, from maker) {
			_, err := from(t, v).Certificate(t.Context())
			assert.Error(t, err)
			var refused *azcore.ResponseError
			assert.NotErrorAs(t, err, &refused)
		})
	}
}
