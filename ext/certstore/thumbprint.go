package certstore

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// parseThumbprint reads a thumbprint as people copy it.
func parseThumbprint(s string) ([]byte, error) {
	digits := strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsSpace(r) ||
			unicode.Is(unicode.Cf, r) { // U+200E in front, from the certificate manager
			return -1
		}
		return r
	}, s)
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha1.Size && len(sum) != sha256.Size {
		return nil, fmt.Errorf("%q is no SHA-1 or SHA-256 in hex", s)
	}
	return sum, nil
}

// thumbprint is the SHA-1 or SHA-256 of a certificate, whichever has this size.
func thumbprint(cert *x509.Certificate, size int) []byte {
	if size == sha256.Size {
		sum := sha256.Sum256(cert.Raw)
		return sum[:]
	}
	var sum [sha1.Size]byte
	// It names the certificate and protects nothing, so FIPS mode has no say in it.
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return sum[:]
}
