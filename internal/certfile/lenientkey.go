package certfile

import (
	"bytes"
	"slices"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addKey makes sure that key, validity and algorithm are what crypto/x509 takes. It
// puts right how a key is written: the parameters of an RSA key, which must be NULL and
// mean nothing, and an EC key whose point is compressed or whose curve is given by its
// numbers. An EC key of a curve that isn't accepted is left out, so that it can be named.
func (l *lenient) addKey() error {
	strict := l.try(func(*certParts) {})
	if strict == nil {
		return nil
	}
	key, deviation := l.parts.readableKey()
	if key == nil || l.try(func(p *certParts) { p.key = key }) != nil {
		return strict
	}
	l.copy.key = key
	l.deviate("public key: %s", deviation)
	return nil
}

// readableKey is the SubjectPublicKeyInfo as crypto/x509 reads it, and what it replaces;
// nil if that isn't known.
func (p certParts) readableKey() (key []byte, deviation string) {
	alg, bits, ok := readKeyInfo(p.key)
	if !ok {
		return nil, ""
	}
	switch alg.oid {
	case oidRSA:
		return keyInfo(rsaAlgorithm, bits), "rsaEncryption without the parameters NULL"
	case oidEC:
		return readableECKey(alg, bits)
	}
	return nil, ""
}

func readableECKey(alg algorithm, bits []byte) (key []byte, deviation string) {
	group, ok := readGroup(alg.params)
	switch {
	case !ok:
		return nil, ""
	case group.curve == nil:
		return keyInfo(unknownAlgorithm, bits), group.name + " can't be read; PublicKey is nil"
	}
	public, ok := parsePoint(group.curve, bits)
	if !ok {
		return nil, ""
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, ""
	}
	deviation = "the curve is given by its numbers instead of by its name"
	if !bytes.Equal(point, bits) {
		deviation = "the point is not in the uncompressed form"
	}
	return keyInfo(ecAlgorithms[group.name], point), deviation
}

// keyInfo is a SubjectPublicKeyInfo.
func keyInfo(algorithm, bits []byte) []byte {
	bitString := appendDER(nil, []byte{byte(cbasn1.BIT_STRING)}, slices.Concat([]byte{0}, bits))
	return appendDER(nil, emptySequence[:1], slices.Concat(algorithm, bitString))
}

// AlgorithmIdentifiers.
var (
	rsaAlgorithm = []byte{0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0}
	ecAlgorithms = map[string][]byte{
		"EC P-256": {0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7},
		"EC P-384": {0x30, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22},
		"EC P-521": {0x30, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23},
	}
)
