package certstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

var (
	digest = sha256.Sum256([]byte("message"))
	pss    = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
)

// cngInGo signs as CNG does, by a padding.
type cngInGo struct {
	key  *rsa.PrivateKey
	salt int   // 0: as told
	err  error // instead of a signature
	gate chan struct{}
}

func (k cngInGo) sign(digest []byte, p padding) ([]byte, error) {
	if k.gate != nil {
		<-k.gate
	}
	if k.err != nil {
		return nil, k.err
	}
	var hash crypto.Hash
	for h, name := range algorithmNames {
		if string(utf16.Decode(p.algorithm)) == name+"\x00" {
			hash = h
		}
	}
	if p.flag == padPKCS1 {
		return rsa.SignPKCS1v15(nil, k.key, hash, digest)
	}
	salt := int(p.salt)
	if k.salt != 0 {
		salt = k.salt
	}
	return rsa.SignPSS(rand.Reader, k.key, hash, digest, &rsa.PSSOptions{SaltLength: salt})
}

// cngOfEC signs as CNG does with an EC key: r and s, one after the other. It takes no digest
// that is longer than the curve's numbers.
type cngOfEC struct{ key *ecdsa.PrivateKey }

func (k cngOfEC) sign(digest []byte, p padding) ([]byte, error) {
	size := (k.key.Params().BitSize + 7) / 8
	if p.flag != padNothing || p.algorithm != nil || len(digest) > size {
		return nil, errors.New("NTE_BAD_FLAGS")
	}
	r, s, err := ecdsa.Sign(rand.Reader, k.key, digest)
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
}

// How often the store is looked through, and for how long it is left alone at most while
// it has nothing valid.
const (
	lookEvery = 15 * time.Minute
	lookPause = 10 * time.Second
)

// store is a certificate store with one certificate.
type store struct {
	cert  atomic.Pointer[certtoken.Certificate]
	err   error
	looks atomic.Int32
}

func newStore(cert *certtoken.Certificate) *store {
	s := &store{}
	s.cert.Store(cert)
	return s
}

func (s *store) find(*config, time.Time) (*found, error) {
	s.looks.Add(1)
	if s.err != nil {
		return nil, s.err
	}
	cert := s.cert.Load()
	if key, ok := cert.Signer.(*ecdsa.PrivateKey); ok {
		return &found{leaf: cert.Leaf, chain: cert.Chain, key: cngOfEC{key}}, nil
	}
	return &found{leaf: cert.Leaf, chain: cert.Chain, key: cngInGo{key: cert.Signer.(*rsa.PrivateKey)}}, nil
}

func (s *store) source(t *testing.T) *Source {
	t.Helper()
	source, err := newSource(s.find, []Option{WithSubject("app")})
	require.NoError(t, err)
	return source
}

// The source conforms over a store in Go: all of it but the calls of Windows.
func TestConformance(t *testing.T) {
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("CA"))
	cert := certtokentest.NewCertificate(t, certtokentest.SignedBy(ca))
	certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return newStore(cert).source(t) })
}

// EC keys conform too, sign assertions, and sign digests of each length in Go's form, as TLS
// needs them.
func TestCurves(t *testing.T) {
	for kind, alg := range map[certtokentest.KeyKind]certtoken.Algorithm{
		certtokentest.P256: certtoken.ES256, certtokentest.P384: certtoken.ES384, certtokentest.P521: certtoken.ES512,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			made := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return newStore(made).source(t) })

			srv := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
			srv.Register("client-id", made.Leaf)
			client, err := certtoken.NewClient(srv.Authority(), "client-id", newStore(made).source(t),
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.EqualValues(t, alg, srv.LastRequest().AssertionHeader["alg"])

			cert, err := newStore(made).source(t).Certificate(t.Context())
			require.NoError(t, err)
			for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				digest := bytes.Repeat([]byte{0xa5}, hash.Size())
				signature, err := cert.Signer.Sign(nil, digest, hash)
				require.NoError(t, err)
				assert.True(t, ecdsa.VerifyASN1(made.Leaf.PublicKey.(*ecdsa.PublicKey), digest, signature))
			}
			other := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
			wrong, err := newSigner("n", cngOfEC{other.Signer.(*ecdsa.PrivateKey)}, made.Leaf.PublicKey)
			require.NoError(t, err)
			_, err = wrong.Sign(nil, digest[:], crypto.SHA256)
			assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
		})
	}
}

// A kind of key that CNG doesn't have is told by name.
func TestOtherKeys(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.Ed25519))
	st := &store{}
	signer := certtokentest.NewCertificate(t, certtokentest.WithSharedKey()).Signer
	st.cert.Store(&certtoken.Certificate{Leaf: cert.Leaf, Signer: signer})
	_, err := st.source(t).Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrUnsupported)
	assert.ErrorContains(t, err, "ed25519.PublicKey")
}

func TestOtherSystems(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is Windows")
	}
	_, err := New(WithSubject("app"))
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "Windows")
	_, err = findInStore(nil, time.Now())
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := certtokentest.NewCertificate(
			t,
			certtokentest.WithSharedKey(),
		), certtokentest.NewCertificate(
			t,
			certtokentest.WithSharedKey(),
		)
		st := newStore(one)
		s := st.source(t)
		first, err := s.Certificate(t.Context())
		require.NoError(t, err)
		for range 10 {
			again, err := s.Certificate(t.Context())
			require.NoError(t, err)
			assert.Same(t, first, again)
		}
		assert.EqualValues(t, 1, st.looks.Load())
		time.Sleep(lookEvery)
		_, err = s.Certificate(t.Context())
		require.NoError(t, err)
		synctest.Wait() // it looks behind the caller
		again, err := s.Certificate(t.Context())
		require.NoError(t, err)
		assert.Same(t, first, again, "found again, and its open handle kept")
		assert.EqualValues(t, 2, st.looks.Load())

		st.cert.Store(two)
		time.Sleep(lookPause)
		require.NoError(t, s.Reload(t.Context(), first))
		again, err = s.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, two.Leaf.Equal(again.Leaf))

		st.err = errors.New("access denied")
		time.Sleep(lookEvery)
		again, err = s.Certificate(t.Context())
		require.NoError(t, err, "the last good pair")
		assert.True(t, two.Leaf.Equal(again.Leaf))
		synctest.Wait()
		assert.ErrorContains(t, s.Health(), `CurrentUser\My: access denied`)
		assert.ErrorContains(t, s.Reload(t.Context(), again), `CurrentUser\My: access denied`)
	})
}

func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		st := newStore(
			certtokentest.NewCertificate(
				t,
				certtokentest.WithSharedKey(),
				certtokentest.WithValidity(now.Add(-time.Hour), now.Add(-time.Minute)),
			),
		)
		s := st.source(t)
		for range 5 {
			_, err := s.Certificate(t.Context())
			require.NoError(t, err, "the root refuses it by name")
		}
		assert.EqualValues(t, 1, st.looks.Load())
		st.err = errors.New("access denied")
		time.Sleep(lookPause)
		_, err := s.Certificate(t.Context())
		assert.ErrorContains(t, err, "access denied")
		st.err = nil
		st.cert.Store(certtokentest.NewCertificate(t, certtokentest.WithSharedKey()))
		time.Sleep(lookPause)
		cert, err := s.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, valid(cert.Leaf, time.Now()))
	})
}

func TestSigner(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	key := cert.Signer.(*rsa.PrivateKey)
	sign := func(k cngInGo, opts crypto.SignerOpts) error {
		signer, err := newSigner("certstore: n", k, &key.PublicKey)
		require.NoError(t, err)
		_, err = signer.Sign(nil, digest[:], opts)
		return err
	}
	assert.NoError(t, sign(cngInGo{key: key}, crypto.SHA256))
	assert.NoError(t, sign(cngInGo{key: key}, pss))
	assert.ErrorIs(t, sign(cngInGo{key: key, salt: 20}, pss), errors.ErrUnsupported, "a TPM with a salt of its own")
	assert.ErrorIs(t, sign(cngInGo{key: key}, crypto.SHA1), errors.ErrUnsupported)
	assert.ErrorContains(t, sign(cngInGo{err: errors.New("gone")}, pss), "certstore: n: gone")
	other := certtokentest.NewCertificate(t).Signer.(*rsa.PrivateKey)
	assert.ErrorIs(t, sign(cngInGo{key: other}, crypto.SHA256), certtoken.ErrKeyMismatch)
	assert.ErrorIs(t, sign(cngInGo{key: other}, pss), certtoken.ErrKeyMismatch)
}

// A provider that hangs doesn't hold up the caller.
func TestCancelled(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	key := cert.Signer.(*rsa.PrivateKey)
	gate := make(chan struct{})
	defer close(gate)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	signer, err := newSigner("n", cngInGo{key: key, gate: gate}, &key.PublicKey)
	require.NoError(t, err)
	_, err = signer.SignContext(ctx, digest[:], pss)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestPrinting(t *testing.T) {
	s, err := newSource(
		nil,
		[]Option{
			WithSubject("app"),
			WithLocalMachine(),
			WithThumbprint("00112233445566778899aabbccddeeff00112233"),
			WithPrompts(),
		},
	)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		assert.Equal(
			t,
			`certstore.Source(LocalMachine\My, thumbprint 00112233445566778899aabbccddeeff00112233, subject "app")`,
			fmt.Sprintf(verb, s),
		)
	}
	assert.Equal(t, s.String(), s.LogValue().String())
}
