package certfile

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addPKCS7 adds the certificates of a SignedData (RFC 5652 §5.1), as in P7B
// files. They have no private key, but another file may.
func addPKCS7(r *reader, der []byte) error {
	if !r.publicOnly {
		r.note(noteP7B)
	}
	certs, _ := pkcs7Certificates(der)
	return addEach(r, certs, "P7B")
}

// addPkiPath adds the certificates of a PkiPath (RFC 6066 §10.1), as Java writes
// them.
func addPkiPath(r *reader, der []byte) error {
	if !r.publicOnly {
		r.note(notePkiPath)
	}
	s := cryptobyte.String(der)
	var certs cryptobyte.String
	s.ReadASN1(&certs, cbasn1.SEQUENCE) // it was classified by that
	return addEach(r, certs, "PkiPath")
}

// addEach adds certificates that stand one after the other.
func addEach(r *reader, certs cryptobyte.String, what string) error {
	for !certs.Empty() {
		if err := r.count(); err != nil {
			return err
		}
		var raw cryptobyte.String
		var tag cbasn1.Tag
		if !certs.ReadAnyASN1Element(&raw, &tag) {
			return r.problem(formatError("the %s in it is broken", what))
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
