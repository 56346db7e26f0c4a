package certfile

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
)

// nameOf names a certificate in an error: its thumbprint as Entra shows it, and
// its subject, quoted because anybody may have written it.
func nameOf(cert *x509.Certificate) string {
	return fmt.Sprintf("%s (%s)", subjectOf(cert), thumbprintOf(cert))
}

func subjectOf(cert *x509.Certificate) string {
	subject := cert.Subject.String()
	if runes := []rune(subject); len(runes) > 100 {
		subject = string(runes[:100]) + "…"
	}
	return fmt.Sprintf("%q", subject)
}

func thumbprintOf(cert *x509.Certificate) string {
	if fips140.Enforced() {
		return fmt.Sprintf("SHA-256 thumbprint %X", sha256.Sum256(cert.Raw))
	}
	return fmt.Sprintf("thumbprint %X", sha1.Sum(cert.Raw))
}

// namesOf lists certificates in an error, with the kinds of their keys: an RSA and an EC
// certificate of one server have the same subject.
func namesOf(certs []*x509.Certificate) string {
	var names []string
	for i, cert := range certs {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(certs)-i))
			break
		}
		names = append(names, fmt.Sprintf("%s (%s, %s)", subjectOf(cert), keyKindOf(cert), thumbprintOf(cert)))
	}
	return strings.Join(names, ", ")
}
