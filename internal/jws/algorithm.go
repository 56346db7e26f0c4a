// Package jws signs and verifies by the algorithms of JSON Web Signature (RFC 7515) that
// prove a client. It knows which algorithm a key can do, and makes signatures in the form
// of the standard whatever form the signer returns. It builds no tokens.
//
//	algorithm.go  the algorithms, and which of them fit a key
//	key.go        which public keys are accepted, and their names in errors
//	sign.go       signatures through a crypto.Signer
//	ecdsa.go      the two forms of an ECDSA signature
//	verify.go     verification
package jws

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // of the algorithms whose names end in 256
	_ "crypto/sha512" // and in 384 and 512
	"fmt"
	"slices"
	"strings"
)

// The names of the algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). EdDSA and
// Ed25519 name the same signatures. EdDSA is the older name, and deprecated since 2025.
const (
	RS256   = "RS256"
	RS384   = "RS384"
	RS512   = "RS512"
	PS256   = "PS256"
	PS384   = "PS384"
	PS512   = "PS512"
	ES256   = "ES256"
	ES384   = "ES384"
	ES512   = "ES512"
	EdDSA   = "EdDSA"
	Ed25519 = "Ed25519"
)

// names are all algorithms, in the order in which errors list them.
var names = []string{RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519}

// method is how an algorithm signs.
type method struct {
	opts  crypto.SignerOpts // what a signer is given; its hash is that of the input, 0 for none
	curve elliptic.Curve    // of the key; nil: it isn't an EC key
}

var methods = map[string]method{
	RS256:   {opts: crypto.SHA256},
	RS384:   {opts: crypto.SHA384},
	RS512:   {opts: crypto.SHA512},
	PS256:   {opts: pss(crypto.SHA256)},
	PS384:   {opts: pss(crypto.SHA384)},
	PS512:   {opts: pss(crypto.SHA512)},
	ES256:   {opts: crypto.SHA256, curve: elliptic.P256()},
	ES384:   {opts: crypto.SHA384, curve: elliptic.P384()},
	ES512:   {opts: crypto.SHA512, curve: elliptic.P521()},
	EdDSA:   {opts: crypto.Hash(0)},
	Ed25519: {opts: crypto.Hash(0)},
}

// pss asks for the salt length of RFC 7518 §3.5: that of the hash.
func pss(hash crypto.Hash) crypto.SignerOpts {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}

// Names returns the names of all algorithms.
func Names() []string { return slices.Clone(names) }

// Known reports whether alg is the name of an algorithm.
func Known(alg string) bool {
	_, ok := methods[alg]
	return ok
}

// Parse returns the name of an algorithm that is written in any case.
func Parse(name string) (string, error) {
	for _, alg := range names {
		if strings.EqualFold(alg, name) {
			return alg, nil
		}
	}
	return "", unknown(name)
}

func unknown(name string) error {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	last := len(names) - 1
	return fmt.Errorf("unknown algorithm %q: %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

// Of returns the algorithms that a key can do, the most usual first. There is none for a
// key that [CheckKey] refuses because of its type.
func Of(pub crypto.PublicKey) []string { return slices.Clone(byKind[kindOf(pub)]) }

// byKind are the algorithms of each kind of key.
var byKind = map[kind][]string{
	kindRSA:     {RS256, PS256, PS384, PS512, RS384, RS512},
	kindP256:    {ES256},
	kindP384:    {ES384},
	kindP521:    {ES512},
	kindEd25519: {EdDSA, Ed25519},
}

// Default is the algorithm of a key where the server asks for none: RS256, that of the
// curve, or EdDSA, which is the name that servers know. The error is that of [CheckKey].
func Default(pub crypto.PublicKey) (string, error) {
	if algs := byKind[kindOf(pub)]; len(algs) > 0 {
		return algs[0], nil
	}
	return "", CheckKey(pub)
}

// Fits reports why a key can't sign by an algorithm, or returns nil. A size that
// [CheckKey] refuses is not its concern.
func Fits(alg string, pub crypto.PublicKey) error {
	if !Known(alg) {
		return unknown(alg)
	}
	algs := byKind[kindOf(pub)]
	switch {
	case slices.Contains(algs, alg):
		return nil
	case len(algs) == 0:
		return CheckKey(pub)
	}
	return fmt.Errorf("%s is for %s, and this key is %s: it signs by %s",
		alg, wants(alg), Describe(pub), strings.Join(algs, ", "))
}

// IsForRSA reports whether an algorithm is for RSA keys.
func IsForRSA(alg string) bool { return slices.Contains(byKind[kindRSA], alg) }

// wants says which keys an algorithm is for.
func wants(alg string) string {
	switch m := methods[alg]; {
	case m.curve != nil:
		return "EC keys of the curve " + m.curve.Params().Name
	case m.opts.HashFunc() == 0:
		return "Ed25519 keys"
	}
	return "RSA keys"
}
