package certfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// publicKey is a public key of a kind that is accepted.
type publicKey interface {
	Equal(crypto.PublicKey) bool
}

// publicKeyOf is the key of a certificate, also of an RSA key that is restricted to
// RSASSA-PSS, which crypto/x509 doesn't read. It is nil for kinds that aren't accepted.
func publicKeyOf(cert *x509.Certificate) (public publicKey, pssOnly bool) {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return key, false
	case *ecdsa.PublicKey:
		if isAcceptedCurve(key.Curve) {
			return key, false
		}
		return nil, false
	case ed25519.PublicKey:
		return key, false
	}
	alg, rsaKey, ok := readRSAInfo(cert.RawSubjectPublicKeyInfo)
	if !ok || alg != oidRSAPSS {
		return nil, false
	}
	return rsaKey, true
}

// readRSAInfo reads an RSA key from a SubjectPublicKeyInfo (RFC 5280 §4.1),
// whatever its algorithm is called.
func readRSAInfo(raw []byte) (oid string, public *rsa.PublicKey, ok bool) {
	alg, bits, ok := readKeyInfo(raw)
	if !ok {
		return alg.oid, nil, false
	}
	key := cryptobyte.String(bits)
	var seq cryptobyte.String
	if !key.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return alg.oid, nil, false
	}
	public, ok = readRSAPublic(&seq)
	return alg.oid, public, ok
}

// readKeyInfo reads a SubjectPublicKeyInfo.
func readKeyInfo(raw []byte) (alg algorithm, bits []byte, ok bool) {
	s := cryptobyte.String(raw)
	var spki cryptobyte.String
	if !s.ReadASN1(&spki, cbasn1.SEQUENCE) {
		return alg, nil, false
	}
	if alg, ok = readAlgorithm(&spki); !ok {
		return alg, nil, false
	}
	ok = spki.ReadASN1BitStringAsBytes(&bits)
	return alg, bits, ok
}

// keyKindOf is what people call the kind of a certificate's key.
func keyKindOf(cert *x509.Certificate) string {
	alg, _, _ := readKeyInfo(cert.RawSubjectPublicKeyInfo)
	return keyKind(alg)
}

// keyKind is what people call the kind of a key.
func keyKind(alg algorithm) string {
	if alg.oid == oidEC {
		if group, ok := readGroup(alg.params); ok {
			return group.name
		}
	}
	if name, ok := keyNames[alg.oid]; ok {
		return name
	}
	return alg.String()
}
