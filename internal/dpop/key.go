package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// preferred are the algorithms of proofs, the best first. ES256 is what every server knows.
// An RSA key is the last choice: it takes long to make, and its proofs are long.
var preferred = []string{
	jws.ES256, jws.Ed25519, jws.EdDSA, jws.ES384, jws.ES512, jws.PS256, jws.RS256,
	jws.PS384, jws.RS384, jws.PS512, jws.RS512,
}

// Choose is the algorithm for a server whose metadata list some (§5.1). Without a list it
// is ES256.
func Choose(listed []string) (string, error) {
	if len(listed) == 0 {
		return preferred[0], nil
	}
	for _, alg := range preferred {
		if slices.Contains(listed, alg) {
			return alg, nil
		}
	}
	return "", fmt.Errorf("none of its algorithms is known: %s are", strings.Join(preferred, ", "))
}

// Key is a key that tokens are bound to. It may be used from many goroutines. Nothing that
// prints or encodes it shows a part of the key.
type Key struct {
	signer     func() crypto.Signer // a function, because reflection can't look behind one
	alg        string
	header     string // of every proof, encoded
	thumbprint string
}

// NewKey makes a key for an algorithm.
func NewKey(alg string) (*Key, error) {
	signer, err := generate(alg)
	if err != nil {
		return nil, err
	}
	return FromSigner(alg, signer)
}

// FromSigner makes a key of a signer that can do the algorithm.
func FromSigner(alg string, signer crypto.Signer) (*Key, error) {
	if err := jws.Fits(alg, signer.Public()); err != nil {
		return nil, err
	}
	public, err := jwk.New(signer.Public())
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(struct {
		Type      string     `json:"typ"`
		Algorithm string     `json:"alg"`
		Key       jwk.Public `json:"jwk"`
	}{typ, alg, public})
	if err != nil {
		return nil, err
	}
	return &Key{
		signer: func() crypto.Signer { return signer }, alg: alg,
		header: encode(header), thumbprint: public.Thumbprint(),
	}, nil
}

// generate makes a key pair for an algorithm.
func generate(alg string) (crypto.Signer, error) {
	switch {
	case alg == jws.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case alg == jws.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case alg == jws.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case alg == jws.Ed25519 || alg == jws.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case jws.IsForRSA(alg):
		return rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	}
	_, err := jws.Parse(alg)
	return nil, err
}

// Algorithm is that of the key's proofs.
func (k *Key) Algorithm() string { return k.alg }

// Thumbprint is the key's by RFC 7638, as the claim cnf.jkt of a token has it (§6.1).
func (k *Key) Thumbprint() string { return k.thumbprint }

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
