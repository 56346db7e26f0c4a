package certfile

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

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
		inner, _, err := derOf(content) // bytes behind the key mean nothing
		if err != nil {
			return privateKey{}, errKey
		}
		return parsePKCS1(inner)
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

// open checks the key and makes it usable.
func (k privateKey) open() (*rsa.PrivateKey, error) {
	if err := checkKeySize(k.public); err != nil {
		return nil, err
	}
	if len(k.pkcs1) > maxKeyDER {
		return nil, fmt.Errorf("%w: an RSA key of %d bytes", ErrTooLarge, len(k.pkcs1))
	}
	return openRSA(k.pkcs1)
}

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
	alg, public, ok := readRSAInfo(cert.RawSubjectPublicKeyInfo)
	if !ok || alg != oidRSAPSS {
		return nil, false
	}
	return public, true
}

// readRSAInfo reads an RSA key from a SubjectPublicKeyInfo (RFC 5280 §4.1),
// whatever its algorithm is called.
func readRSAInfo(raw []byte) (oid string, public *rsa.PublicKey, ok bool) {
	s := cryptobyte.String(raw)
	var spki, key, seq cryptobyte.String
	if !s.ReadASN1(&spki, cbasn1.SEQUENCE) {
		return "", nil, false
	}
	alg, ok := readAlgorithm(&spki)
	if !ok || !spki.ReadASN1BitStringAsBytes((*[]byte)(&key)) || !key.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return alg.oid, nil, false
	}
	public, ok = readRSAPublic(&seq)
	return alg.oid, public, ok
}

// keyKindOf is what people call the kind of a certificate's key.
func keyKindOf(cert *x509.Certificate) string {
	if cert.PublicKey != nil {
		return cert.PublicKeyAlgorithm.String()
	}
	oid, _, _ := readRSAInfo(cert.RawSubjectPublicKeyInfo)
	return algorithmName(oid)
}

var (
	errKey     = formatError("the private key is broken")
	errPSSOnly = fmt.Errorf("%w: a key restricted to RSASSA-PSS (id-RSASSA-PSS); "+
		"make a certificate with a plain RSA key (rsaEncryption), which signs with PSS too", ErrUnsupported)
)
