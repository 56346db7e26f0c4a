package tpm

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// maxPassword is as much as a TPM takes for any key: the length of the longest hash.
const maxPassword = 64

// ask calls the user's function, and turns a panic into an error without what it says, as
// that could be the password.
func ask(ctx context.Context, what string, password Password) (text []byte, err error) {
	if password == nil {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, fmt.Errorf("asking for %s: the function panicked with a %T", what, p)
		}
	}()
	answer, err := password(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	case len(answer) > maxPassword:
		return nil, fmt.Errorf("%s is longer than %d bytes, which no TPM takes", what, maxPassword)
	case strings.Contains(answer, "\x00"):
		return nil, errors.New(what + " holds a zero byte, which a TPM doesn't tell from the password's end")
	}
	return []byte(answer), ctx.Err() // no caller wants it any more
}

// refusals remembers the passwords that the TPM refused for one key, by their HMACs under a
// random key. They aren't sent again: each time counts towards the TPM's lock.
type refusals struct {
	mu   sync.Mutex // guards the rest
	key  [sha256.Size]byte
	macs [][]byte // the oldest first
}

// maxRefusals is how many are remembered. TPMs lock after 32 wrong ones, or fewer.
const maxRefusals = 64

func (r *refusals) add(password []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.macs == nil {
		_, _ = rand.Read(r.key[:]) // never fails (crypto/rand)
	}
	r.macs = append(r.macs, r.mac(password))
	r.macs = r.macs[max(0, len(r.macs)-maxRefusals):]
}

// has reports whether this password was refused.
func (r *refusals) has(password []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	mac := r.mac(password)
	return slices.ContainsFunc(r.macs, func(known []byte) bool { return hmac.Equal(known, mac) })
}

func (r *refusals) mac(password []byte) []byte {
	mac := hmac.New(sha256.New, r.key[:])
	mac.Write(password)
	return mac.Sum(nil)
}
