package certfile

import (
	"bytes"
	"crypto/x509"
	"strings"

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
		if oid, _ := readOID(&seq); oid == oidSignedData {
			return kindPKCS7
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
	return kindPFX // a content info, and perhaps a MAC
}

// classifySequence tells apart the structures that start with a sequence.
func classifySequence(seq cryptobyte.String) kind {
	if _, ok := readAlgorithm(&seq); !ok {
		// What was read is no algorithm but the signed part of something.
		return kindCertificate
	}
	switch {
	case seq.PeekASN1Tag(cbasn1.OCTET_STRING):
		return kindEncryptedPKCS8
	case seq.PeekASN1Tag(cbasn1.BIT_STRING):
		return kindPublicKey
	}
	return kindUnknown
}

// readDER reads a binary file: one value, or several one after the other.
func (r *reader) readDER(data []byte) error {
	r.format = "DER"
	for first := true; len(data) > 0; first = false {
		if !first && data[0] != tagSequence {
			break // something else follows
		}
		der, rest, err := derOf(data)
		if err != nil && first {
			return r.problem(formatError("%v", err))
		}
		if err != nil {
			break
		}
		if err := r.count(); err != nil {
			return err
		}
		if err := r.addDER(data[:len(data)-len(rest)], der); err != nil {
			return err
		}
		data = trimFiller(rest)
	}
	return nil
}

// addDER adds one value: raw as it stands in the file, der after [derOf].
func (r *reader) addDER(raw, der []byte) error {
	switch kind := classify(der); kind {
	case kindPFX:
		if r.publicOnly {
			return r.problem(formatError("it is %s", notePFX))
		}
		r.format = "PFX" // also inside PEM
		return r.readPFX(der)
	case kindCertificate:
		// A certificate's thumbprint is that of its bytes as they are.
		return r.addCertificate(raw)
	case kindEncryptedPKCS8:
		if r.publicOnly {
			return nil
		}
		return r.addEncryptedKey(der, false)
	case kindPKCS7:
		return r.addPKCS7(der)
	case kindPublicKey:
		r.note(notePublicKey)
		return nil
	case kindOtherCMS:
		r.note(noteCMS)
		return nil
	default:
		if r.publicOnly && kind.isPlainKey() {
			return nil
		}
		return r.addKey(der)
	}
}

// isPlainKey reports whether k is a private key without encryption.
func (k kind) isPlainKey() bool {
	switch k {
	case kindPKCS8, kindPKCS1, kindECKey, kindDSAKey:
		return true
	}
	return false
}

// addCertificate adds a certificate, or notes what else it is.
func (r *reader) addCertificate(raw []byte) error {
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return r.addNoCertificate(raw, err)
	}
	for _, other := range r.certs {
		if bytes.Equal(other.Raw, cert.Raw) {
			return nil
		}
	}
	r.certs = append(r.certs, cert)
	return nil
}

// addNoCertificate tells the signed structures apart that aren't certificates.
func (r *reader) addNoCertificate(raw []byte, err error) error {
	if _, csrErr := x509.ParseCertificateRequest(raw); csrErr == nil {
		r.note(noteCSR)
		return nil
	}
	if _, crlErr := x509.ParseRevocationList(raw); crlErr == nil {
		r.note(noteCRL)
		return nil
	}
	advice := ""
	if strings.Contains(err.Error(), "negative serial number") { // crypto/x509 has no type for it
		advice = "; GODEBUG=x509negativeserial=1 in the environment allows it, a certificate made anew is better (RFC 5280 §4.1.2.2)"
	}
	return r.problem(formatError("a certificate in it can't be read: %v%s", err, advice))
}

// addPKCS7 adds the certificates of a SignedData (RFC 5652 §5.1), as in P7B
// files. They have no private key, but another file may.
func (r *reader) addPKCS7(der []byte) error {
	if !r.publicOnly {
		r.note(noteP7B)
	}
	certs, ok := pkcs7Certificates(der)
	for ok && !certs.Empty() {
		if err := r.count(); err != nil {
			return err
		}
		var raw cryptobyte.String
		var tag cbasn1.Tag
		if !certs.ReadAnyASN1Element(&raw, &tag) {
			return r.problem(formatError("the P7B in it is broken"))
		}
		if tag != cbasn1.SEQUENCE { // an attribute certificate
			continue
		}
		if err := r.addCertificate(raw); err != nil {
			return err
		}
	}
	return nil
}

func pkcs7Certificates(der []byte) (certs cryptobyte.String, ok bool) {
	s := cryptobyte.String(der)
	var info, content, signed cryptobyte.String
	ok = s.ReadASN1(&info, cbasn1.SEQUENCE) &&
		info.SkipASN1(cbasn1.OBJECT_IDENTIFIER) &&
		info.ReadASN1(&content, context0Constructed) &&
		content.ReadASN1(&signed, cbasn1.SEQUENCE) &&
		signed.SkipASN1(cbasn1.INTEGER) &&
		signed.SkipASN1(cbasn1.SET) &&
		signed.SkipASN1(cbasn1.SEQUENCE) &&
		signed.ReadASN1(&certs, context0Constructed)
	return certs, ok
}
