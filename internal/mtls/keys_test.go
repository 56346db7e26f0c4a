package mtls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// opaque is a signer whose key can't be reached, as in an HSM.
type opaque struct{ crypto.Signer }

// rawSigner returns r and s one after the other, as PKCS #11 and vaults do.
type rawSigner struct{ key *ecdsa.PrivateKey }

func (s rawSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s rawSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest)
	size := (s.key.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...), err
}

// vault signs with a context only.
type vault struct{ crypto.Signer }

func (v vault) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("Sign was called on a context signer")
}

func (v vault) SignContext(_ context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return v.Signer.Sign(rand.Reader, digest, opts)
}

// Every kind of key is presented, whatever form its signer returns, in both versions of TLS.
// A signer that can't do PSS keeps TLS 1.2, which is of no concern to other keys than RSA.
func TestEveryKeyIsPresented(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signers := map[string]crypto.Signer{"RSA": rsaKey, "Ed25519": edKey, "Ed25519 in a vault": vault{edKey}}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		name := curve.Params().Name
		signers[name], signers[name+" in an HSM"] = key, opaque{key}
		signers[name+", raw"], signers[name+" in a vault, raw"] = rawSigner{key}, vault{rawSigner{key}}
	}
	s := newServer(t)
	for name, signer := range signers {
		pair := newPairOf(t, name, keyOf(signer))
		pair.Signer = signer
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, noPSS := range []bool{false, true} {
				base := s.trusting()
				base.TLSClientConfig.MaxVersion = version
				bindings := New(&http.Client{Transport: base}, noPSS)
				b, err := bindings.Bind(pair)
				require.NoError(t, err)
				s.seen = nil
				require.NoError(t, s.get(t, b.Client().Transport), "%s, %x, without PSS: %v", name, version, noPSS)
				assert.Equal(t, []seen{{name, false}}, s.seen)
				bindings.Close()
			}
		}
	}
}

// keyOf is the key behind a signer, which issues its certificate.
func keyOf(signer crypto.Signer) crypto.Signer {
	switch s := signer.(type) {
	case opaque:
		return keyOf(s.Signer)
	case vault:
		return keyOf(s.Signer)
	case rawSigner:
		return s.key
	}
	return signer
}

// nonsense returns bytes that are no signature.
type nonsense struct{ crypto.Signer }

func (nonsense) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("nonsense"), nil
}

func TestNoSignatureEndsTheHandshake(t *testing.T) {
	s := newServer(t)
	pair := newPair(t, "client")
	pair.Signer = nonsense{pair.Signer}
	for name, transport := range both(t, s.trusting(), pair) {
		require.ErrorContains(t, s.get(t, transport), "8 bytes that are no ECDSA signature on P-256", name)
	}
	assert.Empty(t, s.seen)
}
