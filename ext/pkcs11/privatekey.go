package pkcs11

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// privateKey is a key on the token, valid as long as the login.
type privateKey struct {
	handle     p11.ObjectHandle
	id         []byte
	label      string
	kind       uint      // CKA_KEY_TYPE
	public     publicKey // nil: the token doesn't tell
	alwaysAuth bool      // wants the PIN for each signature
}

// key finds the one private key that is meant.
func (o objects) key(cfg *config) (*privateKey, error) {
	template := []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)}
	if cfg.keyLabel != "" {
		template = append(template, p11.NewAttribute(p11.CKA_LABEL, cfg.keyLabel))
	}
	if cfg.keyID != nil {
		template = append(template, p11.NewAttribute(p11.CKA_ID, cfg.keyID))
	}
	found, err := o.find(template...)
	if err != nil {
		return nil, err
	}
	if len(template) == 1 { // the only one that could be used
		if found, err = o.ofKeyTypes(found); err != nil {
			return nil, err
		}
	}
	switch len(found) {
	case 1:
		return o.readKey(found[0])
	case 0:
		return nil, fmt.Errorf(
			"%w: %s is not on the token, or not shown to this user",
			certtoken.ErrNoPrivateKey,
			cfg.keyName(),
		)
	}
	var names []string
	for _, handle := range found {
		key, err := o.nameKey(handle)
		if err != nil {
			return nil, err
		}
		names = append(names, key.String())
	}
	slices.Sort(names)
	return nil, fmt.Errorf(
		"%w: %s is %s; select one with WithKeyID",
		ErrSeveralKeys,
		cfg.keyName(),
		strings.Join(names, ", "),
	)
}

// ofKeyTypes returns the keys that are of a kind that signs here.
func (o objects) ofKeyTypes(found []p11.ObjectHandle) (usable []p11.ObjectHandle, err error) {
	for _, handle := range found {
		kind, err := o.attribute(handle, p11.CKA_KEY_TYPE)
		if err != nil {
			return nil, err
		}
		if n, ok := ulong(kind); ok && slices.Contains(keyTypes, uint(n)) {
			usable = append(usable, handle)
		}
	}
	return usable, nil
}

// nameKey reads what a key is called.
func (o objects) nameKey(handle p11.ObjectHandle) (*privateKey, error) {
	id, label, err := o.name(handle)
	if err != nil {
		return nil, err
	}
	return &privateKey{handle: handle, id: id, label: label}, nil
}

func (o objects) readKey(handle p11.ObjectHandle) (*privateKey, error) {
	key, err := o.nameKey(handle)
	if err != nil {
		return nil, err
	}
	kind, err := o.attribute(handle, p11.CKA_KEY_TYPE)
	if err != nil {
		return nil, err
	}
	n, ok := ulong(kind)
	if !ok {
		return nil, fmt.Errorf("the token doesn't tell the type of the key %v", key)
	}
	key.kind = uint(n)
	if key.public, err = o.publicOf(key); err != nil {
		return nil, err
	}
	always, err := o.attribute(handle, p11.CKA_ALWAYS_AUTHENTICATE)
	if err != nil {
		return nil, err
	}
	key.alwaysAuth = len(always) == 1 && always[0] != 0
	return key, nil
}

// String names a key for people.
func (k *privateKey) String() string {
	return fmt.Sprintf("%q (id %s)", k.label, cmp.Or(hex.EncodeToString(k.id), "none"))
}

// keyName is the key as it was named, for people.
func (c *config) keyName() string {
	var parts []string
	if c.keyLabel != "" {
		parts = append(parts, fmt.Sprintf("label %q", c.keyLabel))
	}
	if c.keyID != nil {
		parts = append(parts, "id "+hex.EncodeToString(c.keyID))
	}
	if parts == nil {
		return "a key that can sign"
	}
	return "a key with " + strings.Join(parts, ", ")
}

// isOf reports whether a key is of the kind of a public one.
func (k *privateKey) isOf(pub publicKey) bool {
	switch pub.(type) {
	case *rsa.PublicKey:
		return k.kind == p11.CKK_RSA
	case *ecdsa.PublicKey:
		return k.kind == p11.CKK_EC
	}
	return k.kind == keyTypeEdwards
}

// publicOf reads the public half of a key, or returns nil if the token shows less than
// that. The error says that such a key can't sign here.
func (o objects) publicOf(key *privateKey) (publicKey, error) {
	switch key.kind {
	case p11.CKK_RSA:
		modulus, err := o.attribute(key.handle, p11.CKA_MODULUS)
		if err != nil {
			return nil, err
		}
		exponent, err := o.attribute(key.handle, p11.CKA_PUBLIC_EXPONENT)
		if err != nil {
			return nil, err
		}
		return rsaKey(modulus, exponent), nil
	case p11.CKK_EC, keyTypeEdwards:
		return o.pointOf(key)
	}
	return nil, unsupportedKey(fmt.Sprintf("the key %v has the PKCS #11 type %#x", key, key.kind))
}

// pointOf is publicOf for the keys that are a point on a curve. The point is not an
// attribute of a private key (PKCS #11 v3.0 §2.3.4), so most tokens show it at the
// public key only.
func (o objects) pointOf(key *privateKey) (publicKey, error) {
	params, err := o.attribute(key.handle, p11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	decode, err := curveOf(key.kind, params)
	if err != nil {
		return nil, fmt.Errorf("%w (the key %v)", err, key)
	}
	if decode == nil {
		return nil, nil
	}
	point, err := o.attribute(key.handle, p11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	if len(point) == 0 {
		if point, err = o.publicPoint(key, params); err != nil {
			return nil, err
		}
	}
	return decode(point), nil
}

// publicPoint reads the point of the public key that has the id of a private one. There
// may be none, and of several none is known to be meant.
func (o objects) publicPoint(key *privateKey, params []byte) ([]byte, error) {
	if len(key.id) == 0 {
		return nil, nil
	}
	found, err := o.find(
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY),
		p11.NewAttribute(p11.CKA_ID, key.id),
		p11.NewAttribute(p11.CKA_EC_PARAMS, params))
	if err != nil || len(found) != 1 {
		return nil, err
	}
	return o.attribute(found[0], p11.CKA_EC_POINT)
}
