package pkcs11

import (
	"context"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	p11 "github.com/miekg/pkcs11"
)

// signer makes the signer of a key on the token. The digest is computed here, the
// signature there.
func (p *pool) signer(public publicKey) (*certsource.Signer, error) {
	name := "pkcs11: " + p.cfg.tokenName() + ", " + p.cfg.keyName()
	return certsource.NewSigner(name, public, func(ctx context.Context, r certsource.SignRequest) ([]byte, error) {
		return p.sign(ctx, public, r)
	})
}

// sign has the token sign with a key, if it still has that.
func (p *pool) sign(ctx context.Context, public publicKey, r certsource.SignRequest) ([]byte, error) {
	mech, input := mechanism(r)
	signature, err := do(ctx, p, func(c *connection, session p11.SessionHandle) ([]byte, error) {
		known := p.pairOf(c)
		if !known.public.Equal(public) {
			return nil, fmt.Errorf("%w: the token has another key by now, %v", certtoken.ErrKeyMismatch, known.key)
		}
		return p.signOnce(ctx, c, session, known.key, mech, input)
	})
	if answered(err, noSuchMechanism) {
		return nil, fmt.Errorf("%w: token or key lack %s: %w", errors.ErrUnsupported, mechanismName(mech), err)
	}
	return signature, err
}

// signOnce makes a signature in a session. A key that wants the PIN for each gets
// it between the two steps (PKCS #11 v3.1 §5.13).
func (p *pool) signOnce(
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
		err = p.tryPIN(ctx, p.cfg.pin == nil, func(pin string) error {
			if err := begin(); err != nil {
				return err
			}
			if err := c.api.Login(session, p11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
				p.lose(c) // the session's operation stays begun
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
