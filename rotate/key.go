package rotate

import (
	"crypto"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jwk"
)

// KeyOf describes a certificate, or a key alone. It is for tests of registrars, and for telling
// whether a key is one of a [Status]. One that isn't of a supported kind is the zero Key.
func KeyOf(cert *certtoken.Certificate) Key {
	if cert == nil || cert.Leaf == nil && cert.Signer == nil {
		return Key{}
	}
	k, _ := keyOf(cert)
	return k
}

// keyOf describes a certificate, or a key alone.
func keyOf(cert *certtoken.Certificate) (Key, error) {
	if cert.Leaf == nil {
		pub := cert.Signer.Public()
		thumbprint, err := jwk.Thumbprint(pub)
		if err != nil {
			return Key{}, err
		}
		der, err := x509.MarshalPKIXPublicKey(pub)
		return Key{Thumbprint: thumbprint, KID: cert.KeyID, Public: der}, err
	}
	sum := sha256.Sum256(cert.Leaf.Raw)
	k := Key{
		Subject: cert.Leaf.Subject.String(), Thumbprint: hex.EncodeToString(sum[:]),
		NotAfter: cert.Leaf.NotAfter.UTC(), Public: cert.Leaf.Raw,
	}
	fips140.WithoutEnforcement(func() { // it is a name that portals show, and protects nothing
		sum := sha1.Sum(cert.Leaf.Raw)
		k.SHA1 = fmt.Sprintf("%X", sum[:])
	})
	return k, nil
}

// is reports whether the SHA-256 by which a client knows a pair is that of the key.
func (k Key) is(sum [32]byte) bool {
	return k.Thumbprint == hex.EncodeToString(sum[:]) || k.Thumbprint == base64.RawURLEncoding.EncodeToString(sum[:])
}

// String names the key in errors and logs.
func (k Key) String() string {
	name := "SHA-256 " + k.Thumbprint
	switch {
	case k.SHA1 != "":
		name = "SHA-1 " + k.SHA1
	case k.KID != "":
		name = fmt.Sprintf("key id %q", k.KID)
	}
	if k.Subject != "" {
		name = fmt.Sprintf("%q, %s", k.Subject, name)
	}
	return name
}

// sharesKey reports whether two certificates are of one key.
func (k Key) sharesKey(other Key) bool {
	a, err := k.public()
	b, err2 := other.public()
	if err != nil || err2 != nil {
		return false
	}
	pub, ok := a.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(b.Signer.Public())
}

// public is the public half of the key, as registrars are given it.
func (k Key) public() (*certtoken.Certificate, error) {
	if k.KID != "" {
		pub, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, err
		}
		return certtoken.NewKey(publicHalf{pub}, k.KID)
	}
	leaf, err := x509.ParseCertificate(k.Public)
	if err != nil {
		return nil, err
	}
	return &certtoken.Certificate{Leaf: leaf, Signer: publicHalf{leaf.PublicKey}}, nil
}

// publicOf is the public half of a pair or of a bare key.
func publicOf(cert *certtoken.Certificate) *certtoken.Certificate {
	half := *cert
	half.Signer = publicHalf{cert.Signer.Public()}
	return &half
}

// publicHalf is a signer that doesn't sign, so that no registrar gets a private key.
type publicHalf struct{ key crypto.PublicKey }

func (p publicHalf) Public() crypto.PublicKey { return p.key }

func (publicHalf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this is the public half of a key")
}

// sha1Base64 is the SHA-1 as a JOSE header has it.
func (k Key) sha1Base64() string {
	sum, _ := hex.DecodeString(k.SHA1) // it was written here
	return base64.RawURLEncoding.EncodeToString(sum)
}
