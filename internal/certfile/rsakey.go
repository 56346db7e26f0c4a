package certfile

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// openRSA makes a usable key of an RSAPrivateKey (RFC 8017 appendix A.1.2).
// crypto/x509 reads what the standard asks for. What it refuses may be a key that
// openssl takes: with INTEGERs that have a zero octet too many (node-forge before
// 0.7), without primes or CRT values (keys that were a JWK once), with wrong CRT
// values, or with a private exponent that was never reduced. n, e and d, or n, e
// and the primes, say all the rest, so it is calculated anew, and crypto/rsa
// judges the result.
func openRSA(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if numbers, ok := readRSANumbers(der); ok {
		if key, completeErr := numbers.complete(); completeErr == nil {
			return key, nil
		} else if !errors.Is(completeErr, errNotCompleted) {
			err = completeErr
		}
	}
	return nil, formatError("the private key is damaged: %v", err)
}

// rsaNumbers are the numbers of a key with two primes that its other numbers
// follow from. A number that is absent is 0.
type rsaNumbers struct {
	n, d, p, q *big.Int
	e          int
}

var (
	// errNotCompleted: crypto/x509 has said already what is wrong.
	errNotCompleted = errors.New("not a key that lacks something")

	errWrongD      = errors.New("its private exponent is not that of its primes")
	errNoFactors   = errors.New("it has no primes, and its private exponent is not that of its modulus")
	errLongExp     = errors.New("its private exponent is more than twice as long as its modulus")
	errLongModulus = errors.New("it has no primes, which takes too long to make good for a key of this size")
)

// readRSANumbers reads an RSAPrivateKey of two primes, whatever the lengths of
// its numbers. Its CRT values are not looked at.
func readRSANumbers(der []byte) (rsaNumbers, bool) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return rsaNumbers{}, false
	}
	var values [9]*big.Int // version, n, e, d, p, q, dP, dQ, qInv
	for i := range values {
		var ok bool
		if values[i], ok = readPositive(&seq); !ok {
			return rsaNumbers{}, false
		}
	}
	e, ok := publicExponent(values[2])
	if !ok || values[0].Sign() != 0 || !seq.Empty() {
		return rsaNumbers{}, false
	}
	return rsaNumbers{n: values[1], e: e, d: values[3], p: values[4], q: values[5]}, true
}

// readRSAPublic reads a modulus and an exponent.
func readRSAPublic(s *cryptobyte.String) (*rsa.PublicKey, bool) {
	n, ok := readPositive(s)
	if !ok || n.Sign() == 0 {
		return nil, false
	}
	number, ok := readPositive(s)
	if !ok {
		return nil, false
	}
	e, ok := publicExponent(number)
	return &rsa.PublicKey{N: n, E: e}, ok
}

// hasLongExponent reports whether a modulus is followed by an exponent that crypto/rsa
// has no room for. Openssl makes such keys if it is asked to.
func hasLongExponent(s cryptobyte.String) bool {
	if _, ok := readPositive(&s); !ok {
		return false
	}
	e, ok := readPositive(&s)
	return ok && e.BitLen() > 31
}

var errLongExponent = fmt.Errorf("%w: an RSA key whose public exponent has more than 31 bits; "+
	"make a new key and a certificate for it, with the exponent 65537 as every tool does by default", ErrUnsupported)

// publicExponent is e as crypto/rsa takes it.
func publicExponent(e *big.Int) (int, bool) {
	if e.Sign() <= 0 || e.BitLen() > 31 || e.Int64() > math.MaxInt32 {
		return 0, false
	}
	return int(e.Int64()), true
}

// complete calculates what is absent or wrong.
func (k rsaNumbers) complete() (*rsa.PrivateKey, error) {
	if k.p.Cmp(one) <= 0 && k.q.Cmp(one) <= 0 {
		if err := k.findPrimes(); err != nil {
			return nil, err
		}
	}
	if k.p.Cmp(one) <= 0 || k.q.Cmp(one) <= 0 || new(big.Int).Mul(k.p, k.q).Cmp(k.n) != 0 {
		return nil, errNotCompleted // a wrong prime is damage
	}
	p1, q1 := new(big.Int).Sub(k.p, one), new(big.Int).Sub(k.q, one)
	lambda := new(big.Int).Mul(p1, q1)
	lambda.Quo(lambda, new(big.Int).GCD(nil, nil, p1, q1))
	d := new(big.Int).ModInverse(big.NewInt(int64(k.e)), lambda)
	switch {
	case d == nil:
		return nil, errNotCompleted
	case k.d.Sign() != 0 && new(big.Int).Mod(k.d, lambda).Cmp(d) != 0:
		return nil, errWrongD
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.n, E: k.e}, D: d, Primes: []*big.Int{k.p, k.q}}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, err
	}
	return key, nil
}

var one = big.NewInt(1)

// findPrimes factors the modulus with the help of the private exponent (NIST SP
// 800-56B rev. 2 appendix C).
func (k *rsaNumbers) findPrimes() error {
	switch {
	case k.d.Sign() == 0:
		return errNotCompleted
	case k.n.BitLen() > maxFactorBits:
		return errLongModulus
	case k.d.BitLen() > 2*k.n.BitLen():
		return errLongExp
	}
	// d·e - 1 is a multiple of the order of every number modulo n.
	odd := new(big.Int).Mul(k.d, big.NewInt(int64(k.e)))
	odd.Sub(odd, one)
	if odd.Sign() <= 0 || odd.Bit(0) != 0 || k.n.Bit(0) == 0 {
		return errNoFactors
	}
	halvings := odd.TrailingZeroBits()
	odd.Rsh(odd, halvings)
	for base := range factorBases(k.n) {
		p, possible := k.factorWith(base, odd, halvings)
		if !possible {
			break
		}
		if p != nil {
			k.p, k.q = p, new(big.Int).Quo(k.n, p)
			return nil
		}
	}
	return errNoFactors
}

// maxFactorBases is how many bases are tried, because each takes long.
const maxFactorBases = 16

// factorBases are small primes that are a square modulo one prime of n and none modulo
// the other, which their Jacobi symbol tells without the primes. Where p - 1 and q - 1
// can be halved equally often, such a base finds the factors for
// certain, and elsewhere three times in four. So there is no real key that isn't factored
// but for one in billions.
func factorBases(n *big.Int) iter.Seq[*big.Int] {
	return func(yield func(*big.Int) bool) {
		tried := 0
		for i := int64(2); i < 1000 && tried < maxFactorBases; i++ {
			base := big.NewInt(i)
			if !base.ProbablyPrime(0) || big.Jacobi(base, n) != -1 {
				continue
			}
			if tried++; !yield(base) {
				return
			}
		}
	}
}

// factorWith looks for a square root of 1 other than ±1 among the powers of a
// base, and gives the factor that it betrays. It isn't possible where the last
// power isn't 1: then d is not the exponent of n.
func (k *rsaNumbers) factorWith(base, odd *big.Int, halvings uint) (factor *big.Int, possible bool) {
	minusOne := new(big.Int).Sub(k.n, one)
	x := new(big.Int).Exp(base, odd, k.n)
	if x.Cmp(one) == 0 {
		return nil, true
	}
	for range halvings {
		if x.Cmp(minusOne) == 0 {
			return nil, true
		}
		square := new(big.Int).Mul(x, x)
		square.Mod(square, k.n)
		if square.Cmp(one) == 0 {
			return new(big.Int).GCD(nil, nil, x.Sub(x, one), k.n), true
		}
		x = square
	}
	return nil, false
}
