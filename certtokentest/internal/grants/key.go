package grants

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// Key signs tokens.
type Key struct {
	id  string
	key *rsa.PrivateKey
}

// SharedKey is that of every server of a process: to make one takes longer than
// everything else that a test does.
var SharedKey = sync.OnceValue(func() *Key {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("certtokentest: " + err.Error()) // crypto/rand never fails
	}
	sum := sha256.Sum256(key.N.Bytes())
	return &Key{base64.RawURLEncoding.EncodeToString(sum[:]), key}
})

// Public is the public half.
func (k *Key) Public() crypto.PublicKey { return k.key.Public() }

// Sign signs claims as a JWT of a type.
func (k *Key) Sign(typ string, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"], token.Header["typ"] = k.id, typ
	signed, err := token.SignedString(k.key)
	if err != nil {
		panic("certtokentest: " + err.Error()) // a key that was just made
	}
	return signed
}

// JWK is the public half (RFC 7518 §6.3.1).
func (k *Key) JWK() map[string]string {
	var e [8]byte
	binary.BigEndian.PutUint64(e[:], uint64(k.key.E))
	return map[string]string{
		"kty": "RSA",
		"use": "sig",
		"alg": "RS256",
		"kid": k.id,
		"n":   base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString([]byte(strings.TrimLeft(string(e[:]), "\x00"))),
	}
}
