package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
)

// RSA moduli outside these bounds are refused. Entra ID and RFC 7518 §3.3 ask for at
// least 2048 bits. Operations with a key far above 16384 bits would take so long that a
// hostile certificate could stall the program.
const (
	MinRSABits = 2048
	MaxRSABits = 16384
)

// What the errors of [CheckKey] are, by [errors.Is]. Their texts don't repeat these.
var (
	ErrNoKey   = errors.New("no public key")
	ErrKeyType = errors.New("unsupported type of key")
	ErrKeySize = errors.New("unacceptable size of RSA key")
)

// keyError is one of these errors with a text of its own.
type keyError struct {
	kind error
	text string
}

func (e *keyError) Error() string { return e.text }
func (e *keyError) Unwrap() error { return e.kind }

// kind is a type of key, together with its curve.
type kind int

const (
	kindOther kind = iota
	kindNone       // a nil key
	kindRSA
	kindP256
	kindP384
	kindP521
	kindEd25519
)

// kindOf looks at the type and the curve of a key only.
func kindOf(pub crypto.PublicKey) kind {
	switch key := pub.(type) {
	case nil:
		return kindNone
	case *rsa.PublicKey:
		if key == nil || key.N == nil {
			return kindNone
		}
		return kindRSA
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 only whether they are there
		if key == nil || key.Curve == nil || key.X == nil || key.Y == nil {
			return kindNone
		}
		switch key.Curve {
		case elliptic.P256():
			return kindP256
		case elliptic.P384():
			return kindP384
		case elliptic.P521():
			return kindP521
		}
	case ed25519.PublicKey:
		switch len(key) {
		case 0:
			return kindNone
		case ed25519.PublicKeySize:
			return kindEd25519
		}
	}
	return kindOther
}

// CheckKey reports why a public key isn't accepted, or returns nil. Accepted are RSA keys
// of 2048 to 16384 bits, EC keys on P-256, P-384 and P-521, and Ed25519 keys.
func CheckKey(pub crypto.PublicKey) error {
	switch kindOf(pub) {
	case kindNone:
		return &keyError{ErrNoKey, "the signer has no public key"}
	case kindOther:
		return &keyError{ErrKeyType, Describe(pub) + " is not supported: " +
			"use RSA, EC on P-256, P-384 or P-521, or Ed25519"}
	case kindRSA:
		if bits := pub.(*rsa.PublicKey).N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return &keyError{ErrKeySize, fmt.Sprintf("%d bits, must be %d to %d", bits, MinRSABits, MaxRSABits)}
		}
	}
	return nil
}

// Describe says what a key is, for errors: "an EC key of the curve P-256".
func Describe(pub crypto.PublicKey) string {
	switch kindOf(pub) {
	case kindNone:
		return "no key"
	case kindRSA:
		return fmt.Sprintf("an RSA key of %d bits", pub.(*rsa.PublicKey).N.BitLen())
	case kindEd25519:
		return "an Ed25519 key"
	}
	if key, ok := pub.(*ecdsa.PublicKey); ok {
		name := ""
		if params := key.Params(); params != nil {
			name = params.Name
		}
		if name == "" {
			name = "of no known name"
		}
		return "an EC key of the curve " + name
	}
	return fmt.Sprintf("a key of the type %T", pub)
}
