package certfile

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// privateKey is a key whose numbers weren't checked yet. Checking takes long
// for large keys, so only the one that is picked is checked.
type privateKey struct {
	algorithm string         // "RSA", or what it is instead
	public    *rsa.PublicKey // of an RSA key
	pkcs1     []byte
}

const algorithmRSA = "RSA"

// parseKey reads an unencrypted private key of any kind, in DER or BER.
func parseKey(raw []byte) (privateKey, error) {
	der, _, err := derOf(raw)
	if err != nil {
		return privateKey{}, errKey
	}
	switch classify(der) {
	case kindPKCS1:
		return parsePKCS1(der)
	case kindPKCS8:
		return parsePKCS8(der)
	case kindECKey:
		return privateKey{algorithm: "EC"}, nil
	case kindDSAKey:
		return privateKey{algorithm: "DSA"}, nil
	}
	return privateKey{}, formatError("it holds ASN.1 data that is neither a certificate nor a key")
}

// parsePKCS8 reads a PrivateKeyInfo (RFC 5958 §2).
func parsePKCS8(der []byte) (privateKey, error) {
	s := cryptobyte.String(der)
	var seq, content cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) {
		return privateKey{}, errKey
	}
	alg, ok := readAlgorithm(&seq)
	if !ok || !seq.ReadASN1(&content, cbasn1.OCTET_STRING) {
		return privateKey{}, errKey
	}
	switch alg.oid {
	case oidRSA:
		return parsePKCS1(content)
	case oidRSAPSS:
		return privateKey{}, errPSSOnly
	case oidEC:
		if curve, ok := readOID(&alg.params); ok {
			return privateKey{algorithm: algorithmName(curve)}, nil
		}
	}
	return privateKey{algorithm: alg.String()}, nil
}

// parsePKCS1 reads the public half of an RSAPrivateKey (RFC 8017 appendix
// A.1.2).
func parsePKCS1(der []byte) (privateKey, error) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) {
		return privateKey{}, errKey
	}
	public, ok := readRSAPublic(&seq)
	if !ok {
		return privateKey{}, errKey
	}
	return privateKey{algorithmRSA, public, der}, nil
}

// readRSAPublic reads a modulus and an exponent.
func readRSAPublic(s *cryptobyte.String) (*rsa.PublicKey, bool) {
	n, e := new(big.Int), new(big.Int)
	if !s.ReadASN1Integer(n) || !s.ReadASN1Integer(e) || n.Sign() <= 0 || e.Sign() <= 0 {
		return nil, false
	}
	if e.BitLen() > 31 || e.Int64() > math.MaxInt32 {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, true
}

// open checks the key and makes it usable.
func (k privateKey) open() (*rsa.PrivateKey, error) {
	if err := checkKeySize(k.public); err != nil {
		return nil, err
	}
	if len(k.pkcs1) > maxKeyDER {
		return nil, fmt.Errorf("%w: an RSA key of %d bytes", ErrTooLarge, len(k.pkcs1))
	}
	key, err := x509.ParsePKCS1PrivateKey(completed(k.pkcs1))
	if err != nil {
		return nil, formatError("the private key is damaged: %v", err)
	}
	return key, nil
}

// rsaPrivateKey is an RSAPrivateKey of two primes (RFC 8017 appendix A.1.2).
type rsaPrivateKey struct {
	Version                     int
	N, E, D, P, Q, DP, DQ, QInv *big.Int
}

// completed calculates the CRT values of an RSAPrivateKey with two primes where
// they are 0, as programs write them that have the primes alone, such as those
// that turn a JWK into PEM. Anything else it leaves as it is.
func completed(der []byte) []byte {
	var key rsaPrivateKey
	rest, err := asn1.Unmarshal(der, &key)
	if err != nil || len(rest) > 0 || key.P.Cmp(one) <= 0 || key.Q.Cmp(one) <= 0 || key.D.Sign() <= 0 {
		return der
	}
	if key.DP.Sign() != 0 && key.DQ.Sign() != 0 && key.QInv.Sign() != 0 {
		return der
	}
	modulo := func(x *big.Int) *big.Int { return new(big.Int).Mod(key.D, new(big.Int).Sub(x, one)) }
	key.DP, key.DQ, key.QInv = modulo(key.P), modulo(key.Q), new(big.Int).ModInverse(key.Q, key.P)
	if key.QInv == nil {
		return der
	}
	whole, err := asn1.Marshal(key)
	if err != nil {
		return der
	}
	return whole
}

var one = big.NewInt(1)

func checkKeySize(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("%w: %d bits; %d to %d are accepted", ErrKeySize, bits, minKeyBits, maxKeyBits)
	}
	return nil
}

// String identifies the key by its public half.
func (k privateKey) String() string {
	if k.public == nil {
		return k.algorithm + " key"
	}
	spki, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return k.algorithm + " key"
	}
	return fmt.Sprintf("%s key whose public key has the SHA-256 %X", k.algorithm, sha256.Sum256(spki))
}

// publicKeyOf is the RSA key of a certificate, also where it is restricted to
// RSASSA-PSS, which crypto/x509 doesn't read.
func publicKeyOf(cert *x509.Certificate) (public *rsa.PublicKey, pssOnly bool) {
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		return key, false
	}
	s := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var spki, key, seq cryptobyte.String
	if !s.ReadASN1(&spki, cbasn1.SEQUENCE) {
		return nil, false
	}
	alg, ok := readAlgorithm(&spki)
	if !ok || alg.oid != oidRSAPSS || !spki.ReadASN1BitStringAsBytes((*[]byte)(&key)) ||
		!key.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, false
	}
	public, ok = readRSAPublic(&seq)
	return public, ok
}

var (
	errKey     = formatError("the private key is broken")
	errPSSOnly = fmt.Errorf("%w: a key restricted to RSASSA-PSS (id-RSASSA-PSS); "+
		"make a certificate with a plain RSA key (rsaEncryption), which signs with PSS too", ErrUnsupported)
)
