// Package seal names and seals what goes into a store that others can read: HMAC
// for names, AES-256-GCM for values, under keys derived from one secret.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

const (
	// MinSecret is the shortest secret, in bytes.
	MinSecret = 32

	version = 1
)

// Key is what is derived from one secret.
type Key struct {
	name []byte // of HMAC
	aead cipher.AEAD
}

// NewKey derives a key from a secret.
func NewKey(secret []byte) (Key, error) {
	name, err := hkdf.Key(sha256.New, secret, nil, "certtoken store: names, 1", sha256.Size)
	if err != nil {
		return Key{}, err
	}
	seal, err := hkdf.Key(sha256.New, secret, nil, "certtoken store: seals, 1", 32)
	if err != nil {
		return Key{}, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, err
	}
	return Key{name: name, aead: aead}, nil
}

// Name is an entry's name, from which a reader of the store learns nothing.
func (k Key) Name(parts ...string) string {
	mac := hmac.New(sha256.New, k.name)
	for _, part := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return "certtoken-" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Seal encrypts a value that is bound to its entry's name.
func (k Key) Seal(name string, plain []byte) []byte {
	return k.aead.Seal([]byte{version}, nil, plain, []byte(name))
}

// Open refuses what wasn't sealed by the same key for the same name.
func (k Key) Open(name string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, errors.New("an entry has an unknown version")
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], []byte(name))
	if err != nil {
		return nil, errors.New("an entry doesn't open: it was sealed by another key or changed")
	}
	return plain, nil
}
