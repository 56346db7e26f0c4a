package pkcs11

import (
	"fmt"
	"slices"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// pair is what a token has for a source: the key, and the certificate that is
// handed out.
type pair struct {
	key    *privateKey
	public publicKey // of the certificate, if there is one
	cert   *certtoken.Certificate
	read   time.Time
}

// signerOf makes the signer of the key on the token that has a public half.
type signerOf func(publicKey) (*certsource.Signer, error)

// readPair finds key and certificate and joins them.
func readPair(o objects, cfg *config, signer signerOf) (*pair, error) {
	now := time.Now()
	key, err := o.key(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.keyAlone {
		return alone(key, signer, now)
	}
	all, err := o.certificates()
	if err != nil {
		return nil, err
	}
	leaf := cfg.leaf
	if leaf == nil {
		if leaf, err = leafOf(key, all, now); err != nil {
			return nil, err
		}
	}
	known := slices.Clone(cfg.issuers)
	for _, each := range all {
		known = append(known, each.cert)
	}
	pub, err := checkKey(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate %q: %w", leaf.Subject, err)
	}
	if !key.isOf(pub) {
		return nil, fmt.Errorf("%w: the certificate %q has a key of another kind than the token's %v",
			certtoken.ErrKeyMismatch, leaf.Subject, key)
	}
	own := pub
	if key.public != nil {
		own = key.public
	}
	sig, err := signer(own)
	if err != nil {
		return nil, err
	}
	cert, err := certtoken.NewCertificate(sig, leaf, known)
	if err != nil {
		return nil, fmt.Errorf("the key %v: %w", key, err)
	}
	return &pair{key: key, public: pub, cert: cert, read: now}, nil
}

// alone makes the pair of a key that is handed out without a certificate.
func alone(key *privateKey, signer signerOf, now time.Time) (*pair, error) {
	if key.public == nil {
		return nil, fmt.Errorf("the token doesn't show the public half of the key %v: "+
			"store it as a public key object with the same id", key)
	}
	sig, err := signer(key.public)
	if err != nil {
		return nil, err
	}
	cert, err := certtoken.NewKey(sig, "")
	if err != nil {
		return nil, fmt.Errorf("the key %v: %w", key, err)
	}
	return &pair{key: key, public: key.public, cert: cert, read: now}, nil
}
