package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/jwk"
)

// What is wrong with JWKs that can be read.
var (
	errNoKeys     = errors.New("there is no key in the set")
	errNotSigning = errors.New("a key in it isn't for signatures")
	errX5C        = errors.New("a certificate in its x5c can't be read")
)

// foundKey is a public key that was found in a file, with what the file says of it.
// There is no place for a private one.
type foundKey struct {
	file       string
	public     crypto.PublicKey
	kid        string              // "" for its thumbprint
	alg        string              // "" for the key's default
	leaf       *x509.Certificate   // nil: none
	chain      []*x509.Certificate // issuers of leaf
	certSHA256 []byte              // of a certificate that isn't there
}

// jwk is the key as a JWK.
func (k foundKey) jwk(withCertificate bool) (jwk.Public, error) {
	public, err := jwk.ForSigning(k.public, k.kid, k.alg)
	switch {
	case err != nil || !withCertificate:
	case k.leaf != nil:
		public = public.WithCertificate(k.leaf, k.chain)
	case k.certSHA256 != nil:
		public.CertSHA256 = base64.RawURLEncoding.EncodeToString(k.certSHA256)
	}
	return public, err
}

// publicKeys finds the public keys of a file that holds a certificate or a key of any
// kind, private or public.
func (f *certFlags) publicKeys(ctx context.Context, c *console.Console, content *certContent) ([]foundKey, error) {
	if jwk.Is(content.cert) {
		keys, err := jwkKeys(content.cert)
		if err != nil {
			return nil, failure.Errorf("%s: %w", f.name(), err)
		}
		for i := range keys {
			keys[i].file = f.name()
		}
		return keys, nil
	}
	if public, ok := publicKey(content.cert); ok {
		return []foundKey{{file: f.name(), public: public}}, nil
	}
	shown, err := f.show(ctx, c, content)
	if err == nil {
		return []foundKey{{file: f.name(), public: shown.leaf.PublicKey, leaf: shown.leaf, chain: shown.chain}}, nil
	}
	if !failure.IsAny(err, []error{certtoken.ErrNoCertificate, certtoken.ErrFormat}) || f.selected != "" {
		return nil, err
	}
	key, keyErr := f.openKey(ctx, c, content)
	if keyErr != nil {
		return nil, keyErr
	}
	return []foundKey{{file: f.name(), public: key.Signer.Public(), kid: key.KeyID}}, nil
}

// jwkKeys reads a JWK or a JWK Set.
func jwkKeys(data []byte) ([]foundKey, error) {
	var keys []*jwk.Key
	key, err := jwk.Parse(data)
	if err == nil {
		keys = append(keys, key)
	} else {
		set, skipped, setErr := jwk.ParseSet(data)
		switch {
		case setErr != nil:
			return nil, err
		case len(skipped) > 0:
			return nil, skipped[0] // a set with a key less would look complete
		case len(set) == 0:
			return nil, errNoKeys
		}
		keys = set
	}
	var found []foundKey
	for _, key := range keys {
		signs := slices.Contains(key.Operations, "sign") || slices.Contains(key.Operations, "verify")
		switch {
		case key.Use != "" && key.Use != "sig":
			return nil, failure.Errorf("%w but for the use %q", errNotSigning, key.Use)
		case len(key.Operations) > 0 && !signs:
			return nil, failure.Errorf("%w but for the key_ops %q", errNotSigning, key.Operations)
		}
		one := foundKey{public: key.Public, kid: key.KeyID, alg: key.Algorithm, certSHA256: key.CertSHA256}
		if err := one.addChain(key.Chain); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// addChain reads a JWK's certificates.
func (k *foundKey) addChain(chain [][]byte) error {
	for i, der := range chain {
		cert, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return errX5C
		case i == 0:
			k.leaf = cert
		default:
			k.chain = append(k.chain, cert)
		}
	}
	return nil
}

// publicKey reads a public key alone, in PEM or DER.
func publicKey(data []byte) (crypto.PublicKey, bool) {
	der, kind := data, ""
	if block, _ := pem.Decode([]byte(input.Text(data))); block != nil {
		der, kind = block.Bytes, block.Type
	}
	if kind == "" || kind == "PUBLIC KEY" {
		if public, err := x509.ParsePKIXPublicKey(der); err == nil {
			return public, true
		}
	}
	if kind == "" || kind == "RSA PUBLIC KEY" {
		if public, err := x509.ParsePKCS1PublicKey(der); err == nil {
			return public, true
		}
	}
	return nil, false
}
