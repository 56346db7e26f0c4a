package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// identity is the certificate that all libraries sign with.
type identity struct {
	cert *certtoken.Certificate
	free *certtoken.Certificate // the same with a signer that does nothing
}

func newIdentity() (identity, error) {
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		return identity{}, err
	}
	free, err := certtoken.NewCertificate(freeSigner{cert.Signer.Public()}, cert.Leaf, nil)
	return identity{cert: cert, free: free}, err
}

// signing is the certificate for libraries that want the key itself; nil, so
// that they don't sign, where the signer does nothing.
func (id identity) signing() *certtoken.Certificate {
	if id.cert == id.free {
		return nil
	}
	return id.cert
}

func (id identity) key() *rsa.PrivateKey { return id.cert.Signer.(*rsa.PrivateKey) }

// freeSigner leaves the signature out of what is measured: an RSA signature
// takes some thirty times of everything else.
type freeSigner struct{ public crypto.PublicKey }

func (s freeSigner) Public() crypto.PublicKey { return s.public }

func (s freeSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, s.public.(*rsa.PublicKey).Size()), nil
}

func thumbprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
