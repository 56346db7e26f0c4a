// Package jwk reads and writes JSON Web Keys (RFC 7517) that sign: RSA, EC and Ed25519. It
// reads what others made, so it is strict and bounded, and no error shows a part of a key.
//
//	jwk.go     public keys as JSON, and their thumbprints
//	read.go    keys and sets of keys that were written elsewhere
//	rsa.go     RSA keys
//	curve.go   EC and Ed25519 keys
//	member.go  the members of a JSON object
//	errors.go  what can be wrong
package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"

	"github.com/certtoken/certtoken/internal/jws"
)

// Values of the members kty and crv.
const (
	typeRSA = "RSA"
	typeEC  = "EC"
	typeOKP = "OKP"

	curveEd25519 = "Ed25519"
)

// Public is a public key as a JWK. Marshalled, its members have the order in which they
// stand here. The zero value of a member leaves it out.
type Public struct {
	KeyType    string   `json:"kty"`
	Use        string   `json:"use,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	KeyID      string   `json:"kid,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
	N          string   `json:"n,omitempty"`
	E          string   `json:"e,omitempty"`
	CertSHA256 string   `json:"x5t#S256,omitempty"` // unpadded base64url (RFC 7517 §4.9)
	CertChain  []string `json:"x5c,omitempty"`      // padded standard base64 (RFC 7517 §4.7), leaf first
}

// New is the JWK of a public key that [jws.CheckKey] accepts, without the members that
// aren't parts of the key.
func New(pub crypto.PublicKey) (Public, error) {
	if err := jws.CheckKey(pub); err != nil {
		return Public{}, err
	}
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return Public{KeyType: typeRSA, N: encode(key.N.Bytes()), E: encode(big.NewInt(int64(key.E)).Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y
		if err != nil {
			return Public{}, &keyError{ErrFormat, "the key is not a point of its curve"}
		}
		x, y := point[1:len(point)/2+1], point[len(point)/2+1:]
		return Public{KeyType: typeEC, Curve: key.Params().Name, X: encode(x), Y: encode(y)}, nil
	}
	return Public{KeyType: typeOKP, Curve: curveEd25519, X: encode(pub.(ed25519.PublicKey))}, nil
}

// WithCertificate returns the JWK with the certificate of its key, and the issuers of that.
func (p Public) WithCertificate(leaf *x509.Certificate, chain []*x509.Certificate) Public {
	sum := sha256.Sum256(leaf.Raw)
	p.CertSHA256 = encode(sum[:])
	p.CertChain = []string{base64.StdEncoding.EncodeToString(leaf.Raw)}
	for _, issuer := range chain {
		p.CertChain = append(p.CertChain, base64.StdEncoding.EncodeToString(issuer.Raw))
	}
	return p
}

// Thumbprint is the SHA-256 by which RFC 7638 names the key, as unpadded base64url.
func (p Public) Thumbprint() string {
	sum := p.Sum()
	return encode(sum[:])
}

// Sum is the thumbprint's bytes.
func (p Public) Sum() [sha256.Size]byte {
	// The members that are parts of the key, in alphabetical order. Their values need no
	// escape in JSON.
	var text string
	switch p.KeyType {
	case typeRSA:
		text = `{"e":"` + p.E + `","kty":"RSA","n":"` + p.N + `"}`
	case typeEC:
		text = `{"crv":"` + p.Curve + `","kty":"EC","x":"` + p.X + `","y":"` + p.Y + `"}`
	case typeOKP:
		text = `{"crv":"` + p.Curve + `","kty":"OKP","x":"` + p.X + `"}`
	}
	return sha256.Sum256([]byte(text))
}

// Thumbprint is that of a public key.
func Thumbprint(pub crypto.PublicKey) (string, error) {
	p, err := New(pub)
	if err != nil {
		return "", err
	}
	return p.Thumbprint(), nil
}

// Set is a JWK Set of public keys (RFC 7517 §5).
type Set struct {
	Keys []Public `json:"keys"`
}

// MarshalJSON writes an empty list for none: the member must be an array.
func (s Set) MarshalJSON() ([]byte, error) {
	keys := s.Keys
	if keys == nil {
		keys = []Public{}
	}
	return json.Marshal(struct {
		Keys []Public `json:"keys"`
	}{keys})
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
