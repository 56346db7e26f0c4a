package selfsigned

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"io"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

// certSigner signs certificates and requests with anybody's signer: it passes the
// context on, and makes ASN.1 of an EC signature in the raw form. crypto/x509
// verifies what it returns.
type certSigner struct {
	ctx    context.Context
	signer crypto.Signer
}

var _ crypto.MessageSigner = (*certSigner)(nil)

func (s *certSigner) Public() crypto.PublicKey { return s.signer.Public() }

// SignMessage signs what wasn't hashed yet, which is what crypto/x509 asks for.
func (s *certSigner) SignMessage(random io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest := msg
	if hash := opts.HashFunc(); hash != 0 {
		h := hash.New()
		h.Write(msg)
		digest = h.Sum(nil)
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if _, ok := s.signer.(certtoken.ContextSigner); ok {
		return s.Sign(random, digest, opts)
	}
	sig, err := crypto.SignMessage(s.signer, random, msg, opts)
	if err != nil {
		return nil, err
	}
	return s.asn1(digest, sig)
}

// Sign signs a digest.
func (s *certSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	var sig []byte
	var err error
	if remote, ok := s.signer.(certtoken.ContextSigner); ok {
		sig, err = remote.SignContext(s.ctx, digest, opts)
	} else {
		sig, err = s.signer.Sign(rand.Reader, digest, opts)
	}
	if err != nil {
		return nil, err
	}
	return s.asn1(digest, sig)
}

// asn1 is an EC signature in the form that certificates have.
func (s *certSigner) asn1(digest, sig []byte) ([]byte, error) {
	if pub, ok := s.signer.Public().(*ecdsa.PublicKey); ok {
		return jws.ASN1(pub, digest, sig)
	}
	return sig, nil
}
