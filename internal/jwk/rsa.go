package jwk

import (
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"

	"github.com/certtoken/certtoken/internal/jws"
)

// maxNumber is how many bytes a number of an RSA key has at most, with a zero in front,
// which some programs write although RFC 7518 §2 doesn't allow it.
const maxNumber = jws.MaxRSABits/8 + 1

// maxWithoutPrimes bounds RSA keys without primes. Signatures by them take four times as
// long, and a larger one would take seconds.
const maxWithoutPrimes = 8192

// readRSA reads an RSA key (RFC 7518 §6.3). private is nil for a public one.
func readRSA(o object) (public crypto.PublicKey, private crypto.Signer, err error) {
	n, err := number(o, "n")
	if err != nil {
		return nil, nil, err
	}
	e, err := number(o, "e")
	if err != nil {
		return nil, nil, err
	}
	if e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
		return nil, nil, formatError("its member e is not the exponent of an RSA key: 65537 is usual")
	}
	pub := &rsa.PublicKey{N: n, E: int(e.Int64())}
	if err := jws.CheckKey(pub); err != nil {
		return nil, nil, err
	}
	if n.Bit(0) == 0 {
		return nil, nil, formatError("its member n is not the modulus of an RSA key")
	}
	if !o.has("d") {
		return pub, nil, withoutPrivate(o)
	}
	d, err := number(o, "d")
	if err != nil {
		return nil, nil, err
	}
	key := &rsa.PrivateKey{PublicKey: *pub, D: d}
	switch {
	case o.has("oth"):
		return nil, nil, &keyError{ErrUnsupported, "an RSA key of more than two primes"}
	case o.has("p") != o.has("q"):
		return nil, nil, formatError("it has one of p and q only")
	case o.has("p"):
		err = withPrimes(o, key)
	default:
		err = withoutPrimes(key)
	}
	if err != nil {
		return nil, nil, err
	}
	return pub, key, nil
}

// withoutPrivate refuses a key without d that has other private members. It would pass for a public
// one, and its primes are as good as d.
func withoutPrivate(o object) error {
	for _, name := range []string{"p", "q", "dp", "dq", "qi", "oth"} {
		if o.has(name) {
			return formatError("it has the private member %s and no d: a public key has neither", name)
		}
	}
	return nil
}

// withPrimes completes and checks a key. What follows from the primes (dp, dq, qi) is
// calculated anew.
func withPrimes(o object, private *rsa.PrivateKey) error {
	for _, name := range []string{"p", "q"} {
		prime, err := number(o, name)
		if err != nil {
			return err
		}
		if prime.BitLen() < 2 || prime.Bit(0) == 0 {
			return formatError("its member %s is not a prime of an RSA key", name)
		}
		private.Primes = append(private.Primes, prime)
	}
	private.Precompute()
	if err := private.Validate(); err != nil {
		return &keyError{ErrMismatch, "its n, e, d, p and q do not belong together"}
	}
	return nil
}

// withoutPrimes checks a key by a signature.
func withoutPrimes(private *rsa.PrivateKey) error {
	if bits := private.N.BitLen(); bits > maxWithoutPrimes {
		return &keyError{ErrUnsupported, fmt.Sprintf(
			"an RSA key of %d bits without p and q, which takes too long: write p and q too", bits)}
	}
	if private.D.Cmp(private.N) >= 0 {
		return &keyError{ErrMismatch, "its d is larger than its n"}
	}
	private.Precompute()
	digest := sha256.Sum256(nil)
	sig, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	if err == nil && rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], sig) == nil {
		return nil
	}
	if fips140.Enforced() {
		return &keyError{ErrUnsupported, "an RSA key without p and q, which FIPS 140 doesn't allow: write p and q too"}
	}
	return &keyError{ErrMismatch, "its d is not that of n and e"}
}

// number reads a member that is a positive number.
func number(o object, name string) (*big.Int, error) {
	data, err := o.octets(name, maxNumber)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(data), nil
}
