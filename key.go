package certtoken

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/jwk"
)

// maxKeyID bounds a key id, which stands in every assertion.
const maxKeyID = 1024

// NewKey makes a key alone, for servers that know their clients by registered keys: a
// [Certificate] whose Leaf is nil. The key is RSA, EC (P-256, P-384 or P-521) or Ed25519.
// Assertions carry the key id kid and neither a thumbprint nor a certificate. If kid is "",
// it is the key's thumbprint by RFC 7638, which most servers give a key that was registered
// without one. Errors are [ErrNoPrivateKey], [ErrKeySize] and [ErrUnsupported].
func NewKey(signer crypto.Signer, kid string) (*Certificate, error) {
	c, err := newKey(signer, kid)
	return c, public(err)
}

func newKey(signer crypto.Signer, kid string) (*Certificate, error) {
	if signer == nil || isNilKey(signer) {
		return nil, fmt.Errorf("%w: Signer is nil", ErrNoPrivateKey)
	}
	pub := signer.Public()
	if err := checkKey(pub); err != nil {
		return nil, err
	}
	key, err := jwk.New(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if kid == "" {
		kid = key.Thumbprint()
	}
	if len(kid) > maxKeyID {
		return nil, fmt.Errorf("the key id has %d bytes, and may have %d", len(kid), maxKeyID)
	}
	return &Certificate{Signer: behindPointer(signer), KeyID: kid, digests: thumbprintsOfKey(pub)}, nil
}

// ParseKey reads a private key without a certificate, as servers that know their clients by
// registered keys hand it out: a JWK (RFC 7517), PEM or DER, or base64 of them. A certificate
// beside it is passed over. The result is as that of [NewKey]. Its key id is the JWK's kid, and without
// one the thumbprint by RFC 7638. Of the options [WithPassword] is for an encrypted PEM or
// DER key.
//
// Errors wrap one of [ErrWrongPassword], [ErrPasswordRequired], [ErrNoPrivateKey],
// [ErrKeyMismatch], [ErrKeySize], [ErrSeveralKeys], [ErrUnsupported], [ErrFormat] and
// [ErrTooLarge]. No error holds the password or the key.
func ParseKey(data []byte, opts ...CertOption) (*Certificate, error) {
	cfg := newCertConfig(opts)
	if err := cfg.checkForKey(); err != nil {
		return nil, public(fmt.Errorf("ParseKey: %w", err))
	}
	c, err := cfg.parseKey(data)
	return c, public(err)
}

// checkForKey refuses options that are for certificates.
func (c certConfig) checkForKey() error {
	switch {
	case c.keyFile != "":
		return errors.New("WithKeyFile is for certificates: give the key file itself")
	case c.thumbprint != "":
		return errors.New("WithThumbprint is for certificates: keep the key that is meant in a file of its own")
	}
	return nil
}

// parseKey reads a key without a certificate.
func (c certConfig) parseKey(data []byte) (*Certificate, error) {
	data, isJWK := jwkIn(data)
	if !isJWK {
		opts := c.options()
		signer, err := certfile.ParseKey(data, opts.Password, opts.HasPassword)
		if err != nil {
			return nil, aboutPassword(err, opts.Password)
		}
		return newKey(signer, "")
	}
	key, err := jwk.ParsePrivate(data)
	if err != nil {
		return nil, jwkError(err)
	}
	cert, err := newKey(key.Private, key.KeyID)
	if err == nil {
		cert.format = "JWK"
	}
	return cert, err
}
