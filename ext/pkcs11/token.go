package pkcs11

import (
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"
)

// token is a token that is present.
type token struct {
	slot uint
	info p11.TokenInfo
}

func (t token) has(flag uint) bool { return t.info.Flags&flag != 0 }

// String names a token for people.
func (t token) String() string {
	return fmt.Sprintf("%q (serial %s, slot %d)", padded(t.info.Label), padded(t.info.SerialNumber), t.slot)
}

// padded is a field of fixed length as it was meant.
func padded(s string) string { return strings.TrimRight(s, " \x00") }

// findToken looks in all slots for the one token that is meant.
func findToken(api cryptoki, cfg *config) (token, error) {
	slots, err := api.GetSlotList(true)
	if err != nil {
		return token{}, call("C_GetSlotList", err)
	}
	var found, others []token
	var unreadable error
	for _, slot := range slots {
		info, err := api.GetTokenInfo(slot)
		if err != nil { // taken out meanwhile, or not a token of this module
			unreadable = fmt.Errorf("; slot %d: %w", slot, call("C_GetTokenInfo", err))
			continue
		}
		t := token{slot, info}
		if cfg.wants(t) {
			found = append(found, t)
		} else if t.has(p11.CKF_TOKEN_INITIALIZED) {
			others = append(others, t)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return token{}, fmt.Errorf(
			"%w: %s; select one with WithTokenLabel, WithTokenSerial or WithSlot",
			ErrSeveralTokens,
			list(found),
		)
	case unreadable != nil:
		return token{}, fmt.Errorf("%w: %s; present: %s%w", ErrTokenNotFound, cfg.tokenName(), list(others), unreadable)
	}
	return token{}, fmt.Errorf("%w: %s; present: %s", ErrTokenNotFound, cfg.tokenName(), list(others))
}

// wants reports whether everything that was said of the token is true of this one.
func (c *config) wants(t token) bool {
	return t.has(p11.CKF_TOKEN_INITIALIZED) &&
		(c.tokenLabel == "" || c.tokenLabel == padded(t.info.Label)) &&
		(c.tokenSerial == "" || c.tokenSerial == padded(t.info.SerialNumber)) &&
		(c.slot == nil || *c.slot == t.slot)
}

// tokenName is the token as it was named, for people.
func (c *config) tokenName() string {
	var parts []string
	if c.tokenLabel != "" {
		parts = append(parts, fmt.Sprintf("label %q", c.tokenLabel))
	}
	if c.tokenSerial != "" {
		parts = append(parts, "serial "+c.tokenSerial)
	}
	if c.slot != nil {
		parts = append(parts, fmt.Sprintf("slot %d", *c.slot))
	}
	if parts == nil {
		return "any token"
	}
	return "token with " + strings.Join(parts, ", ")
}

func list(tokens []token) string {
	if len(tokens) == 0 {
		return "none"
	}
	var names []string
	for _, t := range tokens {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}
