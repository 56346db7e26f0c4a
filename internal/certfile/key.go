package certfile

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// privateKey is a key of a file. Checking the numbers of an RSA key takes long, so only
// the one that is picked is checked.
type privateKey struct {
	kind   string    // what people call it: "RSA", "EC P-256", "Ed25519" …
	public publicKey // nil: a kind that isn't accepted here

	pkcs1  []byte        // of an RSA key
	signer crypto.Signer // of another one

	stated statement // what the file says of its public key; not of an RSA key
}

// parseKey reads an unencrypted private key of any kind, in DER or BER. The curves of
// the file's EC PARAMETERS blocks are for the EC key that names none; without them the
// error is errNoCurve.
func parseKey(raw []byte, blocks []ecGroup) (privateKey, error) {
	der, _, err := derOf(raw)
	if err != nil {
		return privateKey{}, errKey
	}
	switch classify(der) {
	case kindPKCS1:
		return parsePKCS1(der)
	case kindPKCS8:
		return parsePKCS8(der, blocks)
	case kindECKey:
		return parseSEC1(der, nil, blocks)
	case kindDSAKey:
		return privateKey{kind: "DSA"}, nil
	}
	return privateKey{}, formatError("it holds ASN.1 data that is neither a certificate nor a key")
}

// parsePKCS8 reads a PrivateKeyInfo or OneAsymmetricKey (RFC 5958 §2).
func parsePKCS8(der []byte, blocks []ecGroup) (privateKey, error) {
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
	case oidRSA, oidEC:
		inner, _, err := derOf(content) // bytes behind the key mean nothing
		if err != nil {
			return privateKey{}, errKey
		}
		if alg.oid == oidRSA {
			return parsePKCS1(inner)
		}
		if group, ok := readGroup(alg.params); ok {
			return parseSEC1(inner, &group, nil)
		}
		return parseSEC1(inner, nil, blocks)
	case oidEd25519:
		return parseEd25519(content, seq)
	case oidRSAPSS:
		return privateKey{}, errPSSOnly
	}
	return privateKey{kind: keyKind(alg)}, nil
}

// parsePKCS1 reads the public half of an RSAPrivateKey (RFC 8017 appendix
// A.1.2).
func parsePKCS1(der []byte) (privateKey, error) {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) {
		return privateKey{}, errKey
	}
	numbers := seq
	public, ok := readRSAPublic(&seq)
	switch {
	case !ok && hasLongExponent(numbers):
		return privateKey{}, errLongExponent
	case !ok:
		return privateKey{}, errKey
	}
	return privateKey{kind: keyNames[oidRSA], public: public, pkcs1: der}, nil
}

// parseSEC1 reads an EC key, of a curve that isn't accepted only the curve's name.
func parseSEC1(der []byte, outer *ecGroup, blocks []ecGroup) (privateKey, error) {
	read, err := readSEC1(der, outer, blocks)
	if err != nil || read.group.curve == nil {
		return privateKey{kind: read.group.name}, err
	}
	key, err := read.open()
	if err != nil {
		return privateKey{}, err
	}
	return privateKey{
		kind: read.group.name, public: &key.PublicKey, signer: key, stated: read.states(key),
	}, nil
}

// parseEd25519 reads an Ed25519 key, and from what follows it whether another public
// key is said to belong to it.
func parseEd25519(content, rest cryptobyte.String) (privateKey, error) {
	key, err := readEd25519(content)
	if err != nil {
		return privateKey{}, err
	}
	public := key.Public().(ed25519.PublicKey)
	rest.SkipOptionalASN1(context0Constructed) // attributes
	read := privateKey{kind: keyNames[oidEd25519], public: public, signer: key}
	switch stated := readStatedKey(&rest); {
	case stated == nil:
	case bytes.Equal(stated, public):
		read.stated = confirmed
	default:
		read.stated = contradicted
	}
	return read, nil
}

// belongsTo reports whether the key is that of a certificate.
func (k privateKey) belongsTo(cert *x509.Certificate) bool {
	public, _ := publicKeyOf(cert)
	return public != nil && k.public != nil && public.Equal(k.public)
}

// isCopyOf reports whether two keys have the same public key.
func (k privateKey) isCopyOf(other privateKey) bool {
	return k.public != nil && other.public != nil && k.public.Equal(other.public)
}

// open checks the key and makes it usable.
func (k privateKey) open() (crypto.Signer, error) {
	public, isRSA := k.public.(*rsa.PublicKey)
	if !isRSA {
		return k.signer, nil
	}
	if err := checkKeySize(public); err != nil {
		return nil, err
	}
	if len(k.pkcs1) > maxKeyDER {
		return nil, fmt.Errorf("%w: an RSA key of %d bytes", ErrTooLarge, len(k.pkcs1))
	}
	key, err := openRSA(k.pkcs1)
	if err != nil {
		return nil, err
	}
	return key, nil
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
		return k.kind + " key"
	}
	spki, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return k.kind + " key"
	}
	text := fmt.Sprintf("%s key whose public key has the SHA-256 %X", k.kind, sha256.Sum256(spki))
	if k.stated == contradicted {
		text += " (its file says that it has another one: it is damaged)"
	}
	return text
}

// unsupported says of a key that it is of a kind that isn't accepted.
func (k privateKey) unsupported() error {
	return fmt.Errorf("%w: the private key is of the kind %s; %s", ErrUnsupported, k.kind, keyAdvice)
}

// keyAdvice is what to do about a key that isn't accepted.
const keyAdvice = "make a new key and a certificate for it: RSA, EC on P-256, P-384 or P-521, or Ed25519"

var errPSSOnly = fmt.Errorf("%w: a key restricted to RSASSA-PSS (id-RSASSA-PSS); "+
	"make a certificate with a plain RSA key (rsaEncryption), which signs with PSS too", ErrUnsupported)
