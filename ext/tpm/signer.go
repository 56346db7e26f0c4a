package tpm

import (
	"context"
	"fmt"

	"github.com/certtoken/certtoken/certsource"
)

// user uses keys as the options of a source say.
type user struct {
	name string // of the key, for people
	cfg  config
	path string // of the TPM
}

// device is the TPM. Its path may be a link, which may lead to another one later.
func (u *user) device() *device { return deviceOf(u.path) }

// signer makes the signer of a key.
func (u *user) signer(k *key) (*certsource.Signer, error) {
	return certsource.NewSigner("tpm: "+u.name, k.public, func(
		ctx context.Context, r certsource.SignRequest,
	) ([]byte, error) {
		secrets, err := u.ask(ctx, k)
		if err != nil {
			return nil, err
		}
		return do(ctx, u.device(), func(c *connection) ([]byte, error) {
			return u.use(c, k, secrets, r)
		})
	})
}

// secrets are the passwords that a signature needs.
type secrets struct {
	password, parent []byte
}

// ask asks for the passwords before the caller's turn, as that may take as long as a person
// types.
func (u *user) ask(ctx context.Context, k *key) (*secrets, error) {
	var got secrets
	var err error
	if k.password {
		if got.password, err = ask(ctx, "the key's password", u.cfg.password); err != nil {
			return nil, err
		}
	}
	if u.cfg.password == nil && k.saysPassword() {
		return nil, passwordMissing{}
	}
	if k.file != nil {
		got.parent, err = ask(ctx, "the parent's password", u.cfg.parentPassword)
	}
	return &got, err
}

// use loads a key and has it sign, and remembers what the TPM refused.
func (u *user) use(c *connection, k *key, s *secrets, r certsource.SignRequest) ([]byte, error) {
	if k.refused.has(s.password) {
		return nil, refusedBefore("key", "WithPassword")
	}
	if k.refusedParent.has(s.parent) {
		return nil, refusedBefore("parent", "WithParentPassword")
	}
	loaded, err := c.load(k, s.parent)
	if err != nil {
		if isPasswordRefused(err) {
			k.refusedParent.add(s.parent)
		}
		return nil, err
	}
	signature, err := c.sign(loaded, s.password, r)
	if isPasswordRefused(err) {
		k.refused.add(s.password)
		advice := "; it isn't tried again"
		if u.cfg.password == nil {
			advice = ": the key has one; give it by WithPassword"
		}
		err = fmt.Errorf("%w%s: %w", ErrPasswordRefused, advice, err)
	}
	return signature, err
}

// saysPassword reports whether the file says that the key has a password, and a signature
// needs it. A signature without it would fail, and count towards the TPM's lock with each
// start of the program. Files of tpm2-tools say so of every key: for them there is an empty
// password to give.
func (k *key) saysPassword() bool {
	says := k.file != nil && k.file.saysAuth && !k.file.emptyAuth
	return says && (wantsPassword(k.policy) || len(k.policy) == 0 && k.area.ObjectAttributes.UserWithAuth)
}

func refusedBefore(of, option string) error {
	return fmt.Errorf("%w of the %s before, and it isn't tried again: each wrong one counts; give the right one by %s",
		ErrPasswordRefused, of, option)
}
