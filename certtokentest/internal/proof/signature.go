package proof

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/internal/jws"
)

// verdict is what a key says of a signature. The higher, the more it tells of what is
// wrong.
type verdict int

const (
	valid     verdict = iota
	unfit             // the key can't do the algorithm
	unlisted          // the key can, and is registered for another one
	invalid           // it is no signature of the key
	wrongForm         // it is one, in a form that isn't JWS
)

// verify checks the signature with each of the keys, and returns the first that it is
// valid with. A refusal says what the key is about that was nearest to it.
func (a *Assertion) verify(keys []keyset.Key) (keyset.Key, *refusal.Refusal) {
	best, why := unfit, error(nil)
	for _, key := range keys {
		found, err := a.verdict(key)
		if found == valid {
			return key, nil
		}
		if found >= best {
			best, why = found, err
		}
	}
	refused := refusal.New(700027, "Client assertion failed signature validation. [Reason - The key was found, "+
		"but the signature is not valid., Thumbprint of key used by client: '%s'.]", a.keyName())
	if best == invalid {
		refused.Plainly("The assertion's signature is not valid; the assertion names '%s'.", a.keyName())
	} else {
		refused.Plainly("The assertion's signature is not valid; the assertion names '%s': %v.", a.keyName(), why)
	}
	return keyset.Key{}, refused.Because(refusal.Signature)
}

func (a *Assertion) verdict(key keyset.Key) (verdict, error) {
	alg := a.algorithm()
	if err := errors.Join(jws.CheckKey(key.Public), jws.Fits(alg, key.Public)); err != nil {
		return unfit, err
	}
	if key.Algorithm != "" && key.Algorithm != alg {
		return unlisted, errors.New("the key is registered for " + key.Algorithm + ", and the assertion says " + alg)
	}
	end := strings.LastIndexByte(a.Raw, '.')
	input := []byte(a.Raw[:max(end, 0)])
	signature, err := base64.RawURLEncoding.Strict().DecodeString(a.Raw[end+1:])
	if err != nil {
		return invalid, err
	}
	err = jws.Verify(alg, key.Public, input, signature)
	switch {
	case err == nil:
		return valid, nil
	case isASN1(alg, key.Public, input, signature):
		return wrongForm, errors.New("it is in ASN.1 DER, and " + alg + " wants r and s one after the other, " +
			"each as long as the curve's field (RFC 7518 §3.4)")
	}
	return invalid, err
}

var ecdsaHashes = map[string]crypto.Hash{"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512}

// isASN1 reports whether a signature is the key's, in the form that X.509 and TLS have:
// clients forget to convert it.
func isASN1(alg string, pub crypto.PublicKey, input, signature []byte) bool {
	key, isEC := pub.(*ecdsa.PublicKey)
	hash, known := ecdsaHashes[alg]
	if !isEC || !known {
		return false
	}
	digest := hash.New()
	digest.Write(input)
	return ecdsa.VerifyASN1(key, digest.Sum(nil), signature)
}
