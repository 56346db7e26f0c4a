package certfile

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// kind is what a DER value is, judged by its structure and not by what a file
// name or a PEM label says: both are wrong often enough.
type kind int

const (
	kindUnknown kind = iota
	kindCertificate
	kindPFX
	kindPKCS1
	kindPKCS8
	kindEncryptedPKCS8
	kindECKey
	kindDSAKey
	kindPublicKey
	kindPKCS7
	kindOtherCMS
	kindPkiPath
	kindBCFKS
	kindTPMKey
	kindParameters // of an EC key, as numbers
)

// classify looks at the first values inside a sequence.
func classify(der []byte) kind {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return kindUnknown
	}
	switch {
	case seq.PeekASN1Tag(cbasn1.INTEGER):
		return classifyVersioned(seq)
	case seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER):
		switch oid, _ := readOID(&seq); oid {
		case oidSignedData:
			return kindPKCS7
		case oidTPMKey, oidTPMImportable, oidTPMSealed:
			return kindTPMKey
		}
		return kindOtherCMS
	case seq.PeekASN1Tag(cbasn1.SEQUENCE):
		return classifySequence(seq)
	}
	return kindUnknown
}

// classifyVersioned tells apart the structures that start with a number.
func classifyVersioned(seq cryptobyte.String) kind {
	integers := 0
	for seq.PeekASN1Tag(cbasn1.INTEGER) && seq.SkipASN1(cbasn1.INTEGER) {
		integers++
	}
	switch {
	case integers >= 9: // version, n, e, d, p, q, dp, dq, qinv
		return kindPKCS1
	case integers == 6 && seq.Empty(): // version, p, q, g, y, x
		return kindDSAKey
	case integers == 2 && seq.Empty(): // n, e
		return kindPublicKey
	case integers != 1:
		return kindUnknown
	case seq.PeekASN1Tag(cbasn1.OCTET_STRING):
		return kindECKey
	}
	alg, ok := readAlgorithm(&seq)
	if !ok {
		return kindUnknown
	}
	if alg.oid != oidData && seq.PeekASN1Tag(cbasn1.OCTET_STRING) {
		return kindPKCS8
	}
	if alg.oid == oidPrimeField || alg.oid == oidBinaryField {
		return kindParameters
	}
	return kindPFX // a content info, and perhaps a MAC
}

// classifySequence tells apart the structures that start with a sequence.
func classifySequence(seq cryptobyte.String) kind {
	first := seq
	if _, ok := readAlgorithm(&seq); !ok {
		// What was read is no algorithm but the signed part of something.
		return classifySigned(first)
	}
	switch {
	case seq.PeekASN1Tag(cbasn1.OCTET_STRING):
		return kindEncryptedPKCS8
	case seq.PeekASN1Tag(cbasn1.BIT_STRING):
		return kindPublicKey
	}
	return kindUnknown
}

// classifySigned tells apart what starts with a sequence in a sequence: the signed
// part of a certificate starts with its version or serial number, a certificate
// with its signed part.
func classifySigned(seq cryptobyte.String) kind {
	var first cryptobyte.String
	if !seq.ReadASN1(&first, cbasn1.SEQUENCE) || !first.PeekASN1Tag(cbasn1.SEQUENCE) {
		return kindCertificate
	}
	if _, ok := readAlgorithm(&first); ok && first.PeekASN1Tag(cbasn1.OCTET_STRING) {
		return kindBCFKS
	}
	return kindPkiPath
}

// isPlainKey reports whether k is a private key without encryption.
func (k kind) isPlainKey() bool {
	switch k {
	case kindPKCS8, kindPKCS1, kindECKey, kindDSAKey:
		return true
	}
	return false
}

// isKey recognises a decrypted private key. Some writers leave bytes behind it.
func isKey(plain []byte) bool {
	der, _, err := derOf(plain)
	return err == nil && classify(der).isPlainKey()
}

// isWholeDER reports whether data is one DER or BER value and nothing else but
// the zeros and line ends that Windows and careless copying leave behind. Only
// then can text inside it that looks like PEM not be PEM.
func isWholeDER(data []byte) bool {
	h, err := readBERHeader(data)
	if err != nil || h.tag[0] != tagSequence || !h.indefinite && len(trimFiller(h.rest)) > 0 {
		return false
	}
	return looksLikeDER(data)
}

// looksLikeDER reports whether data starts as a sequence of at least 128 bytes or of
// indefinite length, which no text does, or with a shorter one that is known, such as an
// EC key: "0" is the tag of a sequence.
func looksLikeDER(data []byte) bool {
	if len(data) < 2 || data[0] != tagSequence {
		return false
	}
	if data[1] >= 0x80 {
		return data[1] <= 0x88
	}
	h, err := readBERHeader(data)
	return err == nil && classify(data[:len(data)-len(h.rest)]) != kindUnknown
}
