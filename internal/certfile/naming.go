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
	subject := cert.Subject.String()
	if runes := []rune(subject); len(runes) > 100 {
		subject = string(runes[:100]) + "…"
	}
	if fips140.Enforced() {
		return fmt.Sprintf("%q (SHA-256 thumbprint %X)", subject, sha256.Sum256(cert.Raw))
	}
	return fmt.Sprintf("%q (thumbprint %X)", subject, sha1.Sum(cert.Raw))
}

// namesOf lists certificates in an error.
func namesOf(certs []*x509.Certificate) string {
	var names []string
	for i, cert := range certs {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(certs)-i))
			break
		}
		names = append(names, nameOf(cert))
	}
	return strings.Join(names, ", ")
}
