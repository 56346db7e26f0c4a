package certfile

import (
	"crypto/x509"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parseCertificate reads one certificate; deviations say what crypto/x509 refuses
// about it. Where strict is set, that is an error.
func parseCertificate(raw []byte, strict bool) (cert *x509.Certificate, deviations []string, err error) {
	cert, err = x509.ParseCertificate(raw)
	if err == nil {
		if !strict {
			deviations = readX500Key(cert, nil)
		}
		return cert, deviations, nil
	}
	if !strict {
		if cert, deviations, lenientErr := parseLenient(raw); lenientErr == nil {
			return cert, readX500Key(cert, deviations), nil
		}
	}
	advice := ""
	if strings.Contains(err.Error(), "negative serial number") { // crypto/x509 has no type for it
		advice = "; GODEBUG=x509negativeserial=1 in the environment allows it, " +
			"a certificate made anew is better (RFC 5280 §4.1.2.2)"
	}
	return nil, nil, formatError("a certificate in it can't be read: %v%s", err, advice)
}

// readX500Key sets the RSA key of a certificate that names it by its old
// identifier, which crypto/x509 passes over and openssl reads, and adds that to
// the deviations.
func readX500Key(cert *x509.Certificate, deviations []string) []string {
	if cert.PublicKey != nil {
		return deviations
	}
	alg, public, ok := readRSAInfo(cert.RawSubjectPublicKeyInfo)
	if !ok || alg != oidX500RSA {
		return deviations
	}
	cert.PublicKeyAlgorithm, cert.PublicKey = x509.RSA, public
	return append(deviations, "public key: its algorithm is the old identifier "+oidX500RSA+" and not rsaEncryption")
}

// signedNote tells the signed structures apart that aren't certificates. It is
// "" for what is none of them.
func signedNote(raw []byte) string {
	if _, err := x509.ParseCertificateRequest(raw); err == nil || isRequest(raw) {
		return noteCSR
	}
	if _, err := x509.ParseRevocationList(raw); err == nil {
		return noteCRL
	}
	return ""
}

// isRequest recognises a certificate request (RFC 2986 §4.2) by its structure:
// crypto/x509 refuses one for a character in its name.
func isRequest(raw []byte) bool {
	s := cryptobyte.String(raw)
	var request, info cryptobyte.String
	return s.ReadASN1(&request, cbasn1.SEQUENCE) && request.ReadASN1(&info, cbasn1.SEQUENCE) &&
		request.SkipASN1(cbasn1.SEQUENCE) && request.SkipASN1(cbasn1.BIT_STRING) && request.Empty() &&
		info.SkipASN1(cbasn1.INTEGER) && info.SkipASN1(cbasn1.SEQUENCE) && // version, subject
		info.SkipASN1(cbasn1.SEQUENCE) && // public key
		(info.Empty() || info.SkipASN1(context0Constructed) && info.Empty()) // attributes
}
