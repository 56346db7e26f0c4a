package pkcs11

import (
	"context"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// The states of a session of a user who is logged in (PKCS #11 v3.1 §5.6).
const (
	userReadOnly  = 1 // CKS_RO_USER_FUNCTIONS
	userReadWrite = 3 // CKS_RW_USER_FUNCTIONS
)

// login logs in unless the token needs none or this process is logged in already:
// all sessions of a process on one token share that.
func (p *pool) login(ctx context.Context, api cryptoki, t token, session p11.SessionHandle) error {
	if !t.has(p11.CKF_LOGIN_REQUIRED) {
		return nil
	}
	info, err := api.GetSessionInfo(session)
	if err != nil {
		return call("C_GetSessionInfo", err)
	}
	if info.State == userReadOnly || info.State == userReadWrite {
		return nil
	}
	if t.has(p11.CKF_USER_PIN_LOCKED) {
		return fmt.Errorf("%w: %v; unlock it with the security officer's PIN or PUK", ErrPINLocked, t)
	}
	return p.tryPIN(ctx, t.has(p11.CKF_PROTECTED_AUTHENTICATION_PATH), func(pin string) error {
		err := api.Login(session, p11.CKU_USER, pin)
		if err == nil || answered(err, []p11.Error{p11.CKR_USER_ALREADY_LOGGED_IN}) {
			return nil
		}
		return refusal(api, t.slot, err)
	})
}

// tryPIN asks for the PIN and tries it, one caller at a time: when it was refused
// once, those who waited don't try it too. No lock is held, as this takes as long
// as a person types.
func (p *pool) tryPIN(ctx context.Context, keypad bool, try func(pin string) error) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("gave up waiting for the PIN: %w", ctx.Err())
	case <-p.closed:
		return ErrClosed
	}
	p.mu.Lock()
	refused := p.refused
	p.mu.Unlock()
	if refused != nil {
		return refused
	}
	pin, err := p.askPIN(ctx, keypad)
	if err != nil {
		return err
	}
	err = try(pin)
	if errors.Is(err, ErrPINRefused) {
		p.mu.Lock()
		p.refused = err
		p.mu.Unlock()
	}
	return err
}

// askPIN calls the user's function. A token with a keypad asks by itself.
func (p *pool) askPIN(ctx context.Context, keypad bool) (string, error) {
	if p.cfg.pin == nil {
		if keypad {
			return "", nil
		}
		return "", errors.New("the token wants a PIN: give a function by WithPIN")
	}
	pin, err := callPIN(ctx, p.cfg.pin)
	switch {
	case err != nil:
		return "", fmt.Errorf("asking for the PIN: %w", err)
	case pin == "" && !keypad:
		return "", errors.New("asking for the PIN: it is empty")
	}
	return pin, ctx.Err() // no caller wants it any more
}

// callPIN turns a panic into an error without what it says, as that could be the
// PIN.
func callPIN(ctx context.Context, ask func(context.Context) (string, error)) (pin string, err error) {
	defer func() {
		if p := recover(); p != nil {
			pin, err = "", fmt.Errorf("the function panicked with a %T", p)
		}
	}()
	return ask(ctx)
}

// refusal is the error for a failed login, and says how bad it is.
func refusal(api cryptoki, slot uint, err error) error {
	err = call("C_Login", err)
	switch {
	case answered(err, []p11.Error{p11.CKR_PIN_LOCKED}):
		return fmt.Errorf("%w: %w: %w", ErrPINRefused, ErrPINLocked, err)
	case isGone(err) || answered(err, pinNotTried):
		return err
	}
	advice := ""
	if info, failed := api.GetTokenInfo(slot); failed == nil {
		switch {
		case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
			return fmt.Errorf("%w: %w: %w", ErrPINRefused, ErrPINLocked, err)
		case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
			advice = "; the next wrong one locks it"
		case info.Flags&p11.CKF_USER_PIN_COUNT_LOW != 0:
			advice = "; some more wrong ones lock it"
		}
	}
	return fmt.Errorf("%w: %w%s; no other is tried until Login is called", ErrPINRefused, err, advice)
}
