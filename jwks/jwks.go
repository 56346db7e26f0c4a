// Package jwks writes the public half of certificates and bare keys as a JSON Web Key
// Set (RFC 7517), by which servers other than Entra ID know their clients: once, to
// register it, or served at a URL that the server reads.
//
//	set, err := jwks.Marshal(cert)
//	http.Handle("/.well-known/jwks.json", jwks.Handler(certtoken.CertFile("client.pem")))
//
// No private half is ever written, whatever is given.
//
// # Key ids
//
// Each key has a kid: the KeyID of the [certtoken.Certificate], which every bare key has,
// or without one the SHA-256 thumbprint of RFC 7638. That stays the same when a certificate
// is renewed for the same key. An assertion carries the same kid if there is a KeyID. One
// that is signed with a certificate carries x5t#S256 instead, which the set has too. Where
// a server wants the kid then, use [certtoken.WithKeyIDFunc] with [KeyID].
package jwks

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jwk"
)

// Marshal writes the public keys of certificates and bare keys as a JWK Set. Each key
// has a kid, the use "sig" and an alg, which is what [certtoken.Issuer] signs with by
// default: RS256, the algorithm of the curve, or EdDSA. Where there is a certificate,
// x5t#S256 and x5c, with the certificate's Chain, are there too. A Certificate without
// a Signer will do.
//
// Errors name the key that can't be used: one that [certtoken.NewKey] or
// [certtoken.NewCertificate] refuses, or two keys with one kid. A set without keys
// is an error too, because a server that is given one locks the client out.
func Marshal(certs ...*certtoken.Certificate) ([]byte, error) { return Options{}.Marshal(certs...) }

// KeyID is the kid of a certificate or a bare key in the sets of this package: its
// KeyID, or without one the thumbprint of RFC 7638. It is "" for a key that has no place in a set.
func KeyID(cert *certtoken.Certificate) string {
	pub, err := publicOf(cert)
	if err != nil {
		return ""
	}
	if cert.KeyID != "" {
		return cert.KeyID
	}
	kid, err := jwk.Thumbprint(pub)
	if err != nil {
		return ""
	}
	return kid
}

// Options change what is written and how it is served. The zero value means the
// defaults.
type Options struct {
	// Algorithm is the alg of every key. It must fit all of them. Set it where the
	// client signs by another than the default, such as PS256.
	Algorithm certtoken.Algorithm

	// KeyID returns the kid of a key, where the server has given it one. It must be
	// what the client sends by [certtoken.WithKeyIDFunc]. The default is [KeyID].
	KeyID func(*certtoken.Certificate) string

	// Bare leaves out x5t#S256 and x5c, for servers that take keys without
	// certificates, such as SMART Backend Services. The client must then send the kid.
	Bare bool

	// MaxAge is how long a reader of the set from a [Handler] may use it. The
	// default is 5 minutes; a negative one makes readers ask every time. A new key must
	// be in the set for that long before it signs.
	MaxAge time.Duration

	// Log is told when a [Handler] can't read its source, and when it can again. The
	// default is [slog.Default].
	Log *slog.Logger
}

// Marshal is the function [Marshal] with these options.
func (o Options) Marshal(certs ...*certtoken.Certificate) ([]byte, error) {
	set, err := o.set(certs)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	return json.Marshal(set)
}

func (o Options) set(certs []*certtoken.Certificate) (jwk.Set, error) {
	var set jwk.Set
	if len(certs) == 0 {
		return set, errors.New("there is no key to write")
	}
	for i, cert := range certs {
		key, err := o.key(cert)
		if err == nil {
			err = set.Add(key)
		}
		if err != nil {
			return jwk.Set{}, fmt.Errorf("key %d: %w", i+1, err)
		}
	}
	return set, nil
}

func (o Options) key(cert *certtoken.Certificate) (jwk.Public, error) {
	pub, err := publicOf(cert)
	if err != nil {
		return jwk.Public{}, err
	}
	kid := KeyID
	if o.KeyID != nil {
		kid = o.KeyID
	}
	key, err := jwk.ForSigning(pub, kid(cert), string(o.Algorithm))
	if err == nil && cert.Leaf != nil && !o.Bare {
		key = key.WithCertificate(cert.Leaf, cert.Chain)
	}
	return key, err
}

// publicOf is the public key of a certificate or a bare key.
func publicOf(cert *certtoken.Certificate) (pub crypto.PublicKey, err error) {
	switch {
	case cert == nil:
		return nil, errors.New("it is nil")
	case cert.Leaf == nil && cert.Signer == nil:
		return nil, errors.New("it has neither a certificate nor a signer")
	case cert.Leaf == nil:
		if _, err = certtoken.NewKey(cert.Signer, ""); err == nil {
			pub = cert.Signer.Public()
		}
	case cert.Signer != nil:
		_, err = certtoken.NewCertificate(cert.Signer, cert.Leaf, nil)
		fallthrough
	default:
		pub = cert.Leaf.PublicKey
	}
	return pub, err
}
