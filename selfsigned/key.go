package selfsigned

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

// KeyType is the kind of a key.
type KeyType int

// The kinds of keys. Entra ID and ADFS take RSA only.
const (
	RSA KeyType = iota
	EC
	Ed25519
)

const (
	defaultKeyBits = 2048
	minKeyBits     = jws.MinRSABits
	maxKeyBits     = 8192 // more takes minutes to make
)

// String is the kind as the command and the documents call it.
func (k KeyType) String() string {
	switch k {
	case RSA:
		return "RSA"
	case EC:
		return "EC"
	case Ed25519:
		return "Ed25519"
	}
	return fmt.Sprintf("KeyType(%d)", int(k))
}

// keySpec says which key is made.
type keySpec struct {
	kind  KeyType
	bits  int            // RSA
	curve elliptic.Curve // EC
}

// resolve fills in the defaults. It refuses a property of another kind of key: the
// caller would get another key than the one that was meant.
func (s keySpec) resolve() (keySpec, error) {
	var errs []error
	if s.kind < RSA || s.kind > Ed25519 {
		return s, fmt.Errorf("unknown kind of key %d", int(s.kind))
	}
	if s.kind != RSA && s.bits != 0 {
		errs = append(errs, fmt.Errorf("option KeyBits is for RSA, and the key is %v", s.kind))
	}
	if s.kind != EC && s.curve != nil {
		errs = append(errs, fmt.Errorf("option Curve is for EC, and the key is %v", s.kind))
	}
	switch s.kind {
	case RSA:
		if s.bits == 0 {
			s.bits = defaultKeyBits
		}
		if s.bits < minKeyBits || s.bits > maxKeyBits {
			errs = append(errs, fmt.Errorf("key of %d bits is not within %d and %d", s.bits, minKeyBits, maxKeyBits))
		}
	case EC:
		if s.curve == nil {
			s.curve = elliptic.P256()
		}
		if s.curve != elliptic.P256() && s.curve != elliptic.P384() && s.curve != elliptic.P521() {
			errs = append(errs, fmt.Errorf("curve %s is not P-256, P-384 or P-521", s.curve.Params().Name))
		}
	}
	return s, errors.Join(errs...)
}

func (s keySpec) generate() (crypto.Signer, error) {
	switch s.kind {
	case EC:
		return ecdsa.GenerateKey(s.curve, rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, s.bits)
}

// usage is what a certificate allows its key to be used for.
type usage struct {
	signature x509.SignatureAlgorithm // that it signs itself with; 0: by the curve
	key       x509.KeyUsage
	extended  []x509.ExtKeyUsage
}

// usageOf is the usage that fits a public key. Only RSA can encipher another key
// (RFC 8813 §3, RFC 8410 §5), and its usage is that of New-SelfSignedCertificate.
func usageOf(pub crypto.PublicKey) usage {
	if _, ok := pub.(*rsa.PublicKey); ok {
		return usage{
			x509.SHA256WithRSA,
			x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
			[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		}
	}
	return usage{0, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// signed has a key sign a certificate or a request: an RSA key by PKCS #1 v1.5, which every
// program reads, and by PSS if it can't do that, as some keys of cloud services.
func (u usage) signed(sign func(x509.SignatureAlgorithm) ([]byte, error)) ([]byte, error) {
	der, err := sign(u.signature)
	if u.signature == x509.SHA256WithRSA && errors.Is(err, errors.ErrUnsupported) {
		return sign(x509.SHA256WithRSAPSS)
	}
	return der, err
}

// keyID names a public key by 160 bits of the SHA-256 of its bits (RFC 7093 §2).
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// checkSigner refuses a signer whose key a certificate can't be made for, before it
// is asked to sign.
func checkSigner(signer crypto.Signer) error {
	if _, err := certtoken.NewKey(signer, ""); err != nil {
		return fmt.Errorf("selfsigned: %w", err)
	}
	return nil
}
