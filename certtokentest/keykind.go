package certtokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
)

// KeyKind is a kind of key that a certificate can have; see [WithKeyKind]. Entra ID
// and ADFS take RSA only.
type KeyKind int

// The kinds.
const (
	RSA     KeyKind = iota // of WithKeyBits
	P256                   // EC on P-256, which signs by ES256
	P384                   // EC on P-384, which signs by ES384
	P521                   // EC on P-521, which signs by ES512
	Ed25519                // signs by EdDSA, or Ed25519 as RFC 9864 calls it
)

// KeyKinds are all of them, for tests that go through them.
func KeyKinds() []KeyKind { return []KeyKind{RSA, P256, P384, P521, Ed25519} }

// String is the kind's name, such as P-256.
func (k KeyKind) String() string {
	switch k {
	case RSA:
		return "RSA"
	case P256:
		return "P-256"
	case P384:
		return "P-384"
	case P521:
		return "P-521"
	case Ed25519:
		return "Ed25519"
	}
	return fmt.Sprintf("KeyKind(%d)", int(k))
}

const defaultKeyBits = 2048

// newKey makes a key; the bits are an RSA key's.
func (k KeyKind) newKey(bits int) (crypto.Signer, error) {
	switch k {
	case RSA:
		return rsa.GenerateKey(rand.Reader, bits)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("unknown kind of key %v", k)
}

// sharedKey is the one key of its kind that every test of a process can have.
func sharedKey(k KeyKind) (crypto.Signer, error) {
	sharedKeys.Lock()
	defer sharedKeys.Unlock()
	if key := sharedKeys.made[k]; key != nil {
		return key, nil
	}
	key, err := k.newKey(defaultKeyBits)
	if err != nil {
		return nil, err
	}
	if sharedKeys.made == nil {
		sharedKeys.made = make(map[KeyKind]crypto.Signer)
	}
	sharedKeys.made[k] = key
	return key, nil
}

var sharedKeys struct {
	sync.Mutex
	made map[KeyKind]crypto.Signer
}
