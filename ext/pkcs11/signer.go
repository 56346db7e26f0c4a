package pkcs11

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// signer is a key on a token. The digest is computed here, the signature there.
// Each signature is checked with the certificate's public key, which takes
// microseconds and finds out a token that signs with another key.
type signer struct {
	source *Source
	public *rsa.PublicKey
}

var _ certtoken.ContextSigner = (*signer)(nil)

func (k *signer) Public() crypto.PublicKey { return k.public }

// Sign is SignContext for callers without a context.
func (k *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.SignContext(context.Background(), digest, opts)
}

// SignContext has the token sign a digest: RSASSA-PKCS1-v1_5 or RSASSA-PSS with
// SHA-256, SHA-384 or SHA-512 and, for PSS, a salt as long as the hash. The error
// for everything else, and for what the token or the key doesn't do, wraps
// [errors.ErrUnsupported].
func (k *signer) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.sign(ctx, digest, opts)
	return signature, k.source.explain(err)
}

func (k *signer) sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	mech, input, err := mechanism(digest, opts)
	if err != nil {
		return nil, err
	}
	signature, err := do(ctx, k.source, func(c *connection, session p11.SessionHandle) ([]byte, error) {
		known := k.source.pairOf(c)
		if !known.public.Equal(k.public) {
			return nil, fmt.Errorf(
				"%w: the token has another certificate by now, %q",
				certtoken.ErrKeyMismatch,
				known.cert.Leaf.Subject,
			)
		}
		return k.source.signOnce(ctx, c, session, known.key, mech, input)
	})
	if err != nil {
		if answered(err, noSuchMechanism) {
			return nil, fmt.Errorf("%w: token or key lack %s: %w", errors.ErrUnsupported, mechanismName(mech), err)
		}
		return nil, err
	}
	if verify(k.public, digest, signature, opts) != nil {
		return nil, fmt.Errorf(
			"%w: the token's signature doesn't verify with the certificate",
			certtoken.ErrKeyMismatch,
		)
	}
	return signature, nil
}

func mechanismName(m *p11.Mechanism) string {
	if m.Mechanism == p11.CKM_RSA_PKCS_PSS {
		return "CKM_RSA_PKCS_PSS"
	}
	return "CKM_RSA_PKCS"
}

// signOnce makes a signature in a session. A key that wants the PIN for each gets
// it between the two steps (PKCS #11 v3.1 §5.13).
func (s *Source) signOnce(
	ctx context.Context,
	c *connection,
	session p11.SessionHandle,
	key *privateKey,
	mech *p11.Mechanism,
	input []byte,
) ([]byte, error) {
	begin := func() error {
		return call("C_SignInit", c.api.SignInit(session, []*p11.Mechanism{mech}, key.handle))
	}
	var err error
	if key.alwaysAuth {
		err = s.tryPIN(ctx, s.cfg.pin == nil, func(pin string) error {
			if err := begin(); err != nil {
				return err
			}
			if err := c.api.Login(session, p11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
				s.lose(c) // the session's operation stays begun
				return refusal(c.api, c.slot, err)
			}
			return nil
		})
	} else {
		err = begin()
	}
	if err != nil {
		return nil, err
	}
	signature, err := c.api.Sign(session, input)
	return signature, call("C_Sign", err)
}

// String names the key.
func (k *signer) String() string { return "pkcs11.Key(" + k.source.cfg.keyName() + ")" }

// Format prints k as String does whatever the verb.
func (k *signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue logs k as String does.
func (k *signer) LogValue() slog.Value { return slog.StringValue(k.String()) }
