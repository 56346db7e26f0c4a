package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
)

// key is a key of a TPM: one in a file, or one that the TPM keeps under a handle. It doesn't
// change, but for the passwords that the TPM refused.
type key struct {
	public   publicKey
	area     tpm2.TPMTPublic
	file     *keyFile       // nil: persistent
	handle   tpm2.TPMHandle // of a persistent key
	policy   []policyStep
	password bool // the key may have a password

	refused, refusedParent *refusals // of the key's password, and of its parent's
}

// publicKey is what all of Go's public keys are.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// newFileKey makes a key of what a file holds.
func newFileKey(f *keyFile, cfg *config) (*key, error) {
	area, err := unmarshalPublic(f.public)
	if err != nil {
		return nil, errMalformed("its public part is none of a TPM")
	}
	return newKey(&key{area: *area, file: f, policy: f.policy, password: !f.emptyAuth}, cfg)
}

// newKey completes a key.
func newKey(k *key, cfg *config) (*key, error) {
	var err error
	if k.public, err = publicOf(&k.area); err != nil {
		return nil, err
	}
	k.refused, k.refusedParent = &refusals{}, &refusals{}
	if cfg.pcrs != nil && k.policy == nil {
		k.policy = []policyStep{pcrStep(*cfg.pcrs, nil)}
	}
	return k, nil
}

// inherit takes over what is known of passwords from the key that was there before, if it is
// the same: its file may have got another certificate only. With another key, its parent may
// be another one under the same handle too.
func (k *key) inherit(before *key) {
	if before == nil || k.handle != before.handle || !samePublic(k.area, before.area) {
		return
	}
	if f, g := k.file, before.file; f != nil && g != nil &&
		(f.parent != g.parent || !bytes.Equal(f.private, g.private)) {
		return
	}
	k.refused, k.refusedParent = before.refused, before.refusedParent
}

// unmarshalPublic reads a TPMT_PUBLIC. The library panics at some that no TPM writes.
func unmarshalPublic(data []byte) (area *tpm2.TPMTPublic, err error) {
	defer func() {
		if p := recover(); p != nil {
			area, err = nil, fmt.Errorf("the library panicked with a %T", p)
		}
	}()
	area, err = tpm2.Unmarshal[tpm2.TPMTPublic](data)
	if err != nil {
		return nil, err
	}
	if len(tpm2.Marshal(*area)) != len(data) {
		return nil, fmt.Errorf("bytes after its end")
	}
	return area, nil
}

// publicOf is the public half of a key that can sign here.
func publicOf(area *tpm2.TPMTPublic) (publicKey, error) {
	attributes := area.ObjectAttributes
	switch {
	case area.Type != tpm2.TPMAlgRSA && area.Type != tpm2.TPMAlgECC:
		return nil, fmt.Errorf("%w: a TPM key of the type %#x; use RSA, or EC on P-256, P-384 or P-521",
			certtoken.ErrUnsupported, uint16(area.Type))
	case !attributes.SignEncrypt:
		return nil, unsupported("the key is not for signing: its maker gave it another use")
	case attributes.Restricted:
		return nil, unsupported("the key signs what the TPM itself has made only (it is restricted)")
	}
	pub, err := pubOf(area)
	if err != nil {
		return nil, fmt.Errorf("%w: a TPM key that can't be used: %w", certtoken.ErrUnsupported, err)
	}
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub.E < 3 || pub.E%2 == 0 {
			return nil, errMalformed(fmt.Sprintf("its public exponent is %d", pub.E))
		}
	case *ecdsa.PublicKey:
		if _, err := pub.Bytes(); err != nil {
			return nil, errMalformed("its public key is no point on the curve")
		}
	}
	return pub, nil
}

// pubOf converts a public key. The library panics at some that no TPM writes.
func pubOf(area *tpm2.TPMTPublic) (pub publicKey, err error) {
	defer func() {
		if p := recover(); p != nil {
			pub, err = nil, fmt.Errorf("the library panicked with a %T", p)
		}
	}()
	converted, err := tpm2.Pub(*area)
	if err != nil {
		return nil, err
	}
	pub, ok := converted.(publicKey)
	if !ok {
		return nil, fmt.Errorf("a key of the type %T", converted)
	}
	return pub, nil
}

// samePublic reports whether two public areas are of one key.
func samePublic(a, b tpm2.TPMTPublic) bool {
	return string(tpm2.Marshal(a)) == string(tpm2.Marshal(b))
}
