package certstore

import (
	"bytes"
	"cmp"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
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

// matches reports whether a certificate is one that is meant.
func (c *config) matches(cert *x509.Certificate) bool {
	if c.thumbprint != nil && !bytes.Equal(c.thumbprint, thumbprint(cert, len(c.thumbprint))) {
		return false
	}
	return c.subject == "" ||
		strings.EqualFold(c.subject, cert.Subject.CommonName) ||
		strings.EqualFold(c.subject, cert.Subject.String())
}

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

// order returns the places of the certificates that are meant, the one to be
// tried first in front: RSA before others, then valid, then newest.
func (c *config) order(certs []*x509.Certificate, now time.Time) []int {
	var order []int
	for i, cert := range certs {
		if c.matches(cert) {
			order = append(order, i)
		}
	}
	rank := func(cert *x509.Certificate) int {
		r := 0
		if _, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			r += 2
		}
		if valid(cert, now) {
			r++
		}
		return r
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(rank(certs[b])-rank(certs[a]), certs[b].NotBefore.Compare(certs[a].NotBefore))
	})
	return order
}

func valid(cert *x509.Certificate, now time.Time) bool {
	return !now.Before(cert.NotBefore) && !now.After(cert.NotAfter)
}

// name is what is looked for, for people.
func (c *config) name() string {
	var parts []string
	if c.thumbprint != nil {
		parts = append(parts, "thumbprint "+hex.EncodeToString(c.thumbprint))
	}
	if c.subject != "" {
		parts = append(parts, fmt.Sprintf("subject %q", c.subject))
	}
	return strings.Join(parts, ", ")
}
