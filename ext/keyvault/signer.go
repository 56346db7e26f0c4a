package keyvault

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/certtoken/certtoken"
)

// vaultKey is one version of a key in a vault. The digest is computed here, the
// signature there. Each signature is checked with the certificate's public key,
// which takes microseconds and finds out a key that isn't the certificate's.
type vaultKey struct {
	client   *azkeys.Client
	key      string
	version  string
	public   *rsa.PublicKey
	address  string // for people
	timeout  time.Duration
	throttle *throttle
}

var _ certtoken.ContextSigner = (*vaultKey)(nil)

func (k *vaultKey) Public() crypto.PublicKey { return k.public }

// Sign is SignContext for callers without a context.
func (k *vaultKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(context.Background(), digest, opts)
}

// SignContext has the vault sign a digest: RSASSA-PKCS1-v1_5 or RSASSA-PSS with
// SHA-256, SHA-384 or SHA-512 and, for PSS, a salt as long as the hash (RFC 7518
// §3.3, §3.5). The error for everything else wraps [errors.ErrUnsupported].
func (k *vaultKey) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	alg, err := algorithm(opts)
	if err != nil {
		return nil, fmt.Errorf("keyvault: %s: %w", k.address, err)
	}
	if len(digest) != opts.HashFunc().Size() {
		return nil, fmt.Errorf(
			"keyvault: %s: a digest of %d bytes is not of %v",
			k.address,
			len(digest),
			opts.HashFunc(),
		)
	}
	if err := k.throttle.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	got, err := k.client.Sign(ctx, k.key, k.version, azkeys.SignParameters{Algorithm: &alg, Value: digest}, nil)
	if err != nil {
		return nil, k.throttle.note(explain(signDigest, k.address, err))
	}
	if err := k.verify(digest, got.Result, opts); err != nil {
		return nil, fmt.Errorf(
			"keyvault: %s: %w: the vault's signature doesn't verify with the certificate",
			k.address,
			certtoken.ErrKeyMismatch,
		)
	}
	return got.Result, nil
}

func (k *vaultKey) verify(digest, signature []byte, opts crypto.SignerOpts) error {
	if _, ok := opts.(*rsa.PSSOptions); ok {
		return rsa.VerifyPSS(
			k.public,
			opts.HashFunc(),
			digest,
			signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash},
		)
	}
	return rsa.VerifyPKCS1v15(k.public, opts.HashFunc(), digest, signature)
}

// String names the key by its address.
func (k *vaultKey) String() string { return "keyvault.Key(" + k.address + ")" }

// Format prints k as String does whatever the verb, so that none walks into the
// client and its credential.
func (k *vaultKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue logs k as String does.
func (k *vaultKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// algorithms are the vault's names, by hash, without and with PSS.
var algorithms = map[crypto.Hash][2]azkeys.SignatureAlgorithm{
	crypto.SHA256: {azkeys.SignatureAlgorithmRS256, azkeys.SignatureAlgorithmPS256},
	crypto.SHA384: {azkeys.SignatureAlgorithmRS384, azkeys.SignatureAlgorithmPS384},
	crypto.SHA512: {azkeys.SignatureAlgorithmRS512, azkeys.SignatureAlgorithmPS512},
}

func algorithm(opts crypto.SignerOpts) (azkeys.SignatureAlgorithm, error) {
	if opts == nil {
		return "", errors.New("no hash was named")
	}
	names, ok := algorithms[opts.HashFunc()]
	if !ok {
		return "", fmt.Errorf("%w: hash %v", errors.ErrUnsupported, opts.HashFunc())
	}
	pss, ok := opts.(*rsa.PSSOptions)
	switch {
	case !ok:
		return names[0], nil
	case pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != opts.HashFunc().Size():
		return "", fmt.Errorf("%w: a PSS salt of another length than the hash", errors.ErrUnsupported)
	}
	return names[1], nil
}
