package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/selfsigned"
	p11 "github.com/miekg/pkcs11"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keygen has pkcs11-tool make a key on the token.
func (h *softHSM) keygen(t *testing.T, kind, label, id string) {
	t.Helper()
	run(t, "pkcs11-tool", "--module", h.module, "--token-label", h.label, "--login", "--pin", userPIN,
		"--keypairgen", "--key-type", kind, "--label", label, "--id", id)
}

// certify issues a certificate for the public half of a key on the token, and stores it there.
func (h *softHSM) certify(t *testing.T, label, id string) *certtoken.Certificate {
	t.Helper()
	api, session, _ := h.admin(t)
	if err := api.Login(session, p11.CKU_USER, userPIN); err != nil {
		require.ErrorIs(t, err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN))
	}
	o := objects{api, session}
	found, err := o.find(
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_LABEL, label))
	require.NoError(t, err)
	require.Len(t, found, 1)
	key, err := o.readKey(found[0])
	require.NoError(t, err)
	require.NotNil(t, key.public, "the token shows the public half")
	ca := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.AsCA())
	cert := certtokentest.NewCertificate(t, certtokentest.SignedBy(ca),
		certtokentest.WithKey(publicHalf{key.public}))
	h.storeCert(t, cert.Leaf, label, id)
	return cert
}

// lacksEdwards reports whether the token can't do Ed25519, which SoftHSM can if it was
// built so.
func (h *softHSM) lacksEdwards(t *testing.T) bool {
	t.Helper()
	api, _, slot := h.admin(t)
	mechanisms, err := api.GetMechanismList(slot)
	require.NoError(t, err)
	for _, m := range mechanisms {
		if m.Mechanism == signEdDSA {
			return false
		}
	}
	return true
}

// Keys on curves that the token made itself, through everything: found by label or as the
// only key, tokens from a token endpoint, signatures in the form that crypto/x509 takes,
// and the conformance test.
func TestCurves(t *testing.T) {
	for kind, algs := range map[string][]certtoken.Algorithm{
		"EC:secp256r1":    {certtoken.ES256},
		"EC:secp384r1":    {certtoken.ES384},
		"EC:secp521r1":    {certtoken.ES512},
		"EC:edwards25519": {certtoken.EdDSA, certtoken.Ed25519},
	} {
		t.Run(kind, func(t *testing.T) {
			h := newHSM(t)
			if kind == "EC:edwards25519" && h.lacksEdwards(t) {
				t.Skip("this SoftHSM was built without EdDSA")
			}
			h.keygen(t, kind, "my-app", "05")
			made := h.certify(t, "my-app", "05")
			for _, opts := range [][]Option{nil, {WithKeyLabel("my-app")},
				{WithKeyID("05"), WithCertificate(made.Leaf)}} {
				cert, err := h.source(t, opts...).Certificate(t.Context())
				require.NoError(t, err)
				assert.Equal(t, made.Leaf.Raw, cert.Leaf.Raw)

				csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, cert.Signer)
				require.NoError(t, err)
				parsed, err := x509.ParseCertificateRequest(csr)
				require.NoError(t, err)
				require.NoError(t, parsed.CheckSignature())
			}
			source := h.source(t)
			for _, alg := range algs {
				requireToken(t, source, made.Leaf, alg, certtoken.WithAlgorithm(alg))
			}
			requireToken(t, source, made.Leaf, algs[0]) // by the key
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return h.source(t) })
		})
	}
}

// requireToken gets a token from a server that isn't Entra ID.
func requireToken(
	t *testing.T,
	source certtoken.CertSource,
	leaf *x509.Certificate,
	alg certtoken.Algorithm,
	opts ...certtoken.AuthorityOption,
) {
	t.Helper()
	srv := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
	srv.Register("client-id", leaf)
	client, err := certtoken.NewClient(srv.Authority(opts...), "client-id", source,
		certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.EqualValues(t, alg, srv.LastRequest().AssertionHeader["alg"])
}

// A key of each kind that has no certificate: its assertions are verified by the set that
// package jwks prints, and a certificate can be asked for.
func TestKeyAlone(t *testing.T) {
	for _, kind := range []string{"rsa:2048", "EC:secp256r1", "EC:edwards25519"} {
		t.Run(kind, func(t *testing.T) {
			h := newHSM(t)
			if kind == "EC:edwards25519" && h.lacksEdwards(t) {
				t.Skip("this SoftHSM was built without EdDSA")
			}
			h.keygen(t, kind, "my-app", "05")
			source := h.source(t, WithoutCertificate())
			key, err := source.Certificate(t.Context())
			require.NoError(t, err)
			assert.Nil(t, key.Leaf)
			assert.NotEmpty(t, key.KeyID)

			set, err := jwks.Marshal(key)
			require.NoError(t, err)
			srv := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
			require.NoError(t, srv.RegisterJWKS("client-id", set))
			client, err := certtoken.NewClient(srv.Authority(), "client-id", source,
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.Equal(t, key.KeyID, srv.LastRequest().AssertionHeader["kid"])

			request, err := selfsigned.Request(t.Context(), key.Signer, selfsigned.Options{Subject: "my-app"})
			require.NoError(t, err)
			parsed, err := x509.ParseCertificateRequest(request.Raw)
			require.NoError(t, err)
			require.NoError(t, parsed.CheckSignature())
		})
	}
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)), "my-app", "05")
	run(t, "pkcs11-tool", "--module", h.module, "--token-label", h.label, "--login", "--pin", userPIN,
		"--delete-object", "--type", "pubkey", "--id", "05")
	_, err := h.source(t, WithoutCertificate()).Certificate(t.Context())
	assert.ErrorContains(t, err, `doesn't show the public half of the key "my-app" (id 05)`)
	_, err = New(h.module, WithoutCertificate(), WithCertificate(certtokentest.NewCertificate(t).Leaf))
	assert.ErrorContains(t, err, "WithoutCertificate")
}

// An imported key comes without its public half, as softhsm2-util stores both; here only
// the private one stays, and the certificate decides.
func TestCurveWithoutPublicObject(t *testing.T) {
	h := newHSM(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
	other := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
	h.store(t, cert, "my-app", "05")
	run(t, "pkcs11-tool", "--module", h.module, "--token-label", h.label, "--login", "--pin", userPIN,
		"--delete-object", "--type", "pubkey", "--id", "05")
	requireToken(t, h.source(t), cert.Leaf, certtoken.ES256)

	wrong, err := h.source(t, WithCertificate(other.Leaf)).Certificate(t.Context())
	require.NoError(t, err, "nothing tells before it signs")
	_, err = wrong.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
}

// With the public half on the token a wrong certificate is told at once, and of several
// certificates the one of the key is taken.
func TestCurveWithWrongCertificate(t *testing.T) {
	h := newHSM(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P384))
	other := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P384))
	h.store(t, cert, "my-app", "05")
	h.storeCert(t, other.Leaf, "my-app", "05")
	got, err := h.source(t).Certificate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, cert.Leaf.Raw, got.Leaf.Raw)
	_, err = h.source(t, WithCertificate(other.Leaf)).Certificate(t.Context())
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
}

// Curves that nothing else here takes are refused by name.
func TestOtherCurves(t *testing.T) {
	h := newHSM(t)
	h.keygen(t, "EC:secp256k1", "k1", "05")
	_, err := h.source(t).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrUnsupported)
	assert.ErrorContains(t, err,
		`06052b8104000a; use RSA, EC on P-256, P-384 or P-521, or Ed25519 (the key "k1" (id 05))`)

	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	_, err = New(h.module, WithCertificate(&x509.Certificate{PublicKey: p224.Public()}))
	require.ErrorIs(t, err, certtoken.ErrUnsupported)
	assert.ErrorContains(t, err, "P-224")
	for _, params := range [][]byte{{0x06, 0x03, 0x2b, 0x65, 0x71}, append([]byte{0x13, 10}, "edwards448"...)} {
		_, err = curveOf(keyTypeEdwards, params)
		assert.ErrorIs(t, err, certtoken.ErrUnsupported)
	}
	_, err = objects{}.publicOf(&privateKey{kind: p11.CKK_DSA, label: "dsa"})
	require.ErrorIs(t, err, certtoken.ErrUnsupported)
	assert.ErrorContains(t, err, `"dsa" (id none) has the PKCS #11 type 0x1`)
}

// A token that lacks the mechanism, and one that signs with another key.
func TestCurveTrouble(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)), "my-app", "05")
	s, m := h.moodySource(t)
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	m.failOnce("SignInit", p11.CKR_MECHANISM_INVALID)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "CKM_ECDSA")
	m.failOnce("corrupt", p11.CKR_OK)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.NoError(t, err)
}

// Each curve signs digests of each length, as TLS may ask for: longer ones are cut.
func TestDigestsOfOtherLengths(t *testing.T) {
	h := newHSM(t)
	for i, kind := range []certtokentest.KeyKind{certtokentest.P256, certtokentest.P384, certtokentest.P521} {
		id := "0" + string(rune('1'+i))
		h.store(t, certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind)), kind.String(), id)
		cert, err := h.source(t, WithKeyID(id)).Certificate(t.Context())
		require.NoError(t, err)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			sum := bytes.Repeat([]byte{0xa5}, hash.Size())
			signature, err := cert.Signer.Sign(nil, sum, hash)
			require.NoError(t, err, "%v %v", kind, hash)
			assert.True(t, ecdsa.VerifyASN1(cert.Leaf.PublicKey.(*ecdsa.PublicKey), sum, signature))
		}
	}
}

func TestMechanismOfCurves(t *testing.T) {
	asked := certsource.SignRequest{Algorithm: certtoken.EdDSA, Digest: []byte("message"), Opts: crypto.Hash(0)}
	m, input := mechanism(asked)
	assert.EqualValues(t, signEdDSA, m.Mechanism)
	assert.Equal(t, "message", string(input))
	for _, alg := range []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512} {
		m, input = mechanism(certsource.SignRequest{Algorithm: alg, Digest: digest[:], Opts: crypto.SHA256})
		assert.EqualValues(t, p11.CKM_ECDSA, m.Mechanism)
		assert.Equal(t, digest[:], input)
	}
}

func TestFormsOfPoints(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := ec.PublicKey.Bytes()
	require.NoError(t, err)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	octets := func(b []byte) []byte { return append([]byte{0x04, byte(len(b))}, b...) }
	bits := func(b []byte) []byte { return append([]byte{0x03, byte(len(b) + 1), 0}, b...) }

	for _, form := range [][]byte{point, octets(point)} {
		assert.True(t, ec.PublicKey.Equal(ecKey(elliptic.P256(), form)))
	}
	for _, form := range [][]byte{edwards, octets(edwards), bits(edwards)} {
		assert.True(t, edwards.Equal(edwardsKey(form)))
	}
	off := bytes.Clone(point)
	off[40] ^= 1
	for _, form := range [][]byte{nil, {}, off, point[:33], append(octets(point), 0)} {
		assert.Nil(t, ecKey(elliptic.P256(), form))
	}
	assert.Nil(t, ecKey(elliptic.P384(), point))
	assert.Nil(t, edwardsKey(point))
	assert.Nil(t, rsaKey(nil, nil))
	assert.NotNil(t, rsaKey(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes(), []byte{1, 0, 1}).(*rsa.PublicKey))
}
