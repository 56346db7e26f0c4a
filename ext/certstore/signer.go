package certstore

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/certtoken/certtoken"
)

// signer is a key in the store. The digest is computed here, the signature by the
// key's provider. Each signature is checked with the certificate's public key.
type signer struct {
	key    privateKey
	public *rsa.PublicKey
	name   string
}

var _ certtoken.ContextSigner = (*signer)(nil)

func (k *signer) Public() crypto.PublicKey { return k.public }

// Sign is SignContext for callers without a context.
func (k *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(context.Background(), digest, opts)
}

// SignContext signs a digest: RSASSA-PKCS1-v1_5 or RSASSA-PSS with SHA-256,
// SHA-384 or SHA-512 and, for PSS, a salt as long as the hash. The error for
// everything else, and for what the key's provider doesn't do, wraps
// [errors.ErrUnsupported].
func (k *signer) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.sign(ctx, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("certstore: %s: %w", k.name, err)
	}
	return signature, nil
}

func (k *signer) sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	p, err := paddingFor(digest, opts)
	if err != nil {
		return nil, err
	}
	signature, err := await(ctx, func() ([]byte, error) { return k.key.sign(digest, p) })
	if err != nil {
		return nil, err
	}
	return signature, k.verify(digest, signature, opts)
}

// verify finds out a key that isn't the certificate's, and a provider that takes
// a salt of its own length, as older TPMs do.
func (k *signer) verify(digest, signature []byte, opts crypto.SignerOpts) error {
	pss := func(salt int) error {
		return rsa.VerifyPSS(k.public, opts.HashFunc(), digest, signature, &rsa.PSSOptions{SaltLength: salt})
	}
	_, isPSS := opts.(*rsa.PSSOptions)
	switch {
	case isPSS && pss(rsa.PSSSaltLengthEqualsHash) == nil,
		!isPSS && rsa.VerifyPKCS1v15(k.public, opts.HashFunc(), digest, signature) == nil:
		return nil
	case isPSS && pss(rsa.PSSSaltLengthAuto) == nil:
		return fmt.Errorf(
			"%w: the key's provider makes PSS signatures with a salt of another length than the hash",
			errors.ErrUnsupported,
		)
	}
	return fmt.Errorf("%w: the signature doesn't verify with the certificate", certtoken.ErrKeyMismatch)
}

// String names the key by its certificate.
func (k *signer) String() string { return "certstore.Key(" + k.name + ")" }

// Format prints k as String does whatever the verb.
func (k *signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue logs k as String does.
func (k *signer) LogValue() slog.Value { return slog.StringValue(k.String()) }
