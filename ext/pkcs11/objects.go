package pkcs11

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// maxObjects bounds what is read of a token.
const maxObjects = 4096

// privateKey is a key on the token, valid as long as the login.
type privateKey struct {
	handle     p11.ObjectHandle
	id         []byte
	label      string
	kind       uint      // CKA_KEY_TYPE
	public     publicKey // nil: the token doesn't tell
	alwaysAuth bool      // wants the PIN for each signature
}

// objects reads a token over one session.
type objects struct {
	api     cryptoki
	session p11.SessionHandle
}

// find returns the objects that have all these attributes.
func (o objects) find(template ...*p11.Attribute) (found []p11.ObjectHandle, err error) {
	if err := o.api.FindObjectsInit(o.session, template); err != nil {
		return nil, call("C_FindObjectsInit", err)
	}
	defer func() {
		if final := o.api.FindObjectsFinal(o.session); err == nil {
			err = call("C_FindObjectsFinal", final)
		}
	}()
	for len(found) < maxObjects {
		some, _, err := o.api.FindObjects(o.session, 64)
		if err != nil {
			return nil, call("C_FindObjects", err)
		}
		if len(some) == 0 {
			return found, nil
		}
		found = append(found, some...)
	}
	return nil, fmt.Errorf("the token has over %d objects of one kind", maxObjects)
}

// attribute is an object's attribute, or nil if the object has none such or
// doesn't show it. Each is asked for alone, as one that is missing would take
// the others with it.
func (o objects) attribute(object p11.ObjectHandle, kind uint) ([]byte, error) {
	got, err := o.api.GetAttributeValue(o.session, object, []*p11.Attribute{p11.NewAttribute(kind, nil)})
	switch {
	case answered(err, []p11.Error{p11.CKR_ATTRIBUTE_TYPE_INVALID, p11.CKR_ATTRIBUTE_SENSITIVE}):
		return nil, nil
	case err != nil:
		return nil, call("C_GetAttributeValue", err)
	case len(got) == 0:
		return nil, nil
	}
	return got[0].Value, nil
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
	id, err := o.attribute(handle, p11.CKA_ID)
	if err != nil {
		return nil, err
	}
	label, err := o.attribute(handle, p11.CKA_LABEL)
	if err != nil {
		return nil, err
	}
	return &privateKey{handle: handle, id: id, label: string(label)}, nil
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

// ulong reads a CK_ULONG, which is as long as the C compiler made it.
func ulong(value []byte) (uint64, bool) {
	switch len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value)), true
	case 8:
		return binary.NativeEndian.Uint64(value), true
	}
	return 0, false
}

// stored is a certificate on the token.
type stored struct {
	id    []byte
	label string
	cert  *x509.Certificate
}

// certificates reads all X.509 certificates of the token. What can't be parsed
// is left out.
func (o objects) certificates() ([]stored, error) {
	found, err := o.find(
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_CERTIFICATE),
		p11.NewAttribute(p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509))
	if err != nil {
		return nil, err
	}
	var all []stored
	for _, handle := range found {
		value, err := o.attribute(handle, p11.CKA_VALUE)
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(value)
		if err != nil {
			continue
		}
		id, err := o.attribute(handle, p11.CKA_ID)
		if err != nil {
			return nil, err
		}
		label, err := o.attribute(handle, p11.CKA_LABEL)
		if err != nil {
			return nil, err
		}
		all = append(all, stored{id, string(label), cert})
	}
	return all, nil
}

// leafOf is the certificate of a key: by id, else by label; of several the one
// that fits the key and is the newest valid.
func leafOf(key *privateKey, all []stored, now time.Time) (*x509.Certificate, error) {
	byID := func(s stored) bool { return len(key.id) > 0 && bytes.Equal(s.id, key.id) }
	byLabel := func(s stored) bool { return key.label != "" && s.label == key.label }
	for _, belongs := range []func(stored) bool{byID, byLabel} {
		var fit []*x509.Certificate
		for _, s := range all {
			if belongs(s) {
				fit = append(fit, s.cert)
			}
		}
		if len(fit) > 0 {
			return slices.MaxFunc(fit, func(a, b *x509.Certificate) int { return compare(a, b, key.public, now) }), nil
		}
	}
	return nil, fmt.Errorf(
		"%w: none of %d on the token has the id or the label of the key %v; store it there, or give it by WithCertificate",
		certtoken.ErrNoCertificate,
		len(all),
		key,
	)
}

// compare puts the certificate that is rather meant last.
func compare(a, b *x509.Certificate, pub publicKey, now time.Time) int {
	rank := func(c *x509.Certificate) int {
		r := 0
		if pub == nil || pub.Equal(c.PublicKey) {
			r += 2
		}
		if !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			r++
		}
		return r
	}
	return cmp.Or(rank(a)-rank(b), a.NotBefore.Compare(b.NotBefore))
}

// pair is what a token has for a source: the key, and the certificate that is
// handed out.
type pair struct {
	key    *privateKey
	public publicKey // of the certificate, if there is one
	cert   *certtoken.Certificate
	read   time.Time
}

// read finds key and certificate and joins them.
func (s *Source) read(o objects) (*pair, error) {
	now := time.Now()
	key, err := o.key(&s.cfg)
	if err != nil {
		return nil, err
	}
	if s.cfg.keyAlone {
		return s.alone(key, now)
	}
	all, err := o.certificates()
	if err != nil {
		return nil, err
	}
	leaf := s.cfg.leaf
	if leaf == nil {
		if leaf, err = leafOf(key, all, now); err != nil {
			return nil, err
		}
	}
	known := slices.Clone(s.cfg.issuers)
	for _, each := range all {
		known = append(known, each.cert)
	}
	pub, err := checkKey(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the certificate %q: %w", leaf.Subject, err)
	}
	if !key.isOf(pub) {
		return nil, fmt.Errorf("%w: the certificate %q has a key of another kind than the token's %v",
			certtoken.ErrKeyMismatch, leaf.Subject, key)
	}
	own := pub
	if key.public != nil {
		own = key.public
	}
	sig, err := s.signer(own)
	if err != nil {
		return nil, err
	}
	cert, err := certtoken.NewCertificate(sig, leaf, known)
	if err != nil {
		return nil, fmt.Errorf("the key %v: %w", key, err)
	}
	return &pair{key: key, public: pub, cert: cert, read: now}, nil
}

// alone makes the pair of a key that is handed out without a certificate.
func (s *Source) alone(key *privateKey, now time.Time) (*pair, error) {
	if key.public == nil {
		return nil, fmt.Errorf("the token doesn't show the public half of the key %v: "+
			"store it as a public key object with the same id", key)
	}
	sig, err := s.signer(key.public)
	if err != nil {
		return nil, err
	}
	cert, err := certtoken.NewKey(sig, "")
	if err != nil {
		return nil, fmt.Errorf("the key %v: %w", key, err)
	}
	return &pair{key: key, public: key.public, cert: cert, read: now}, nil
}
