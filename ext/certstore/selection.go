package certstore

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// matches reports whether a certificate is one that is meant.
func (c *config) matches(cert *x509.Certificate) bool {
	if c.thumbprint != nil && !bytes.Equal(c.thumbprint, thumbprint(cert, len(c.thumbprint))) {
		return false
	}
	if c.template != "" && !hasTemplate(cert, c.template) {
		return false
	}
	return c.subject == "" ||
		strings.EqualFold(c.subject, cert.Subject.CommonName) ||
		strings.EqualFold(c.subject, cert.Subject.String())
}

// order returns the places of the certificates that are meant, the one to be
// tried first in front: keys that can sign before others, then valid, then RSA, which every
// server takes, then newest.
func (c *config) order(certs []*x509.Certificate, now time.Time) []int {
	var order []int
	for i, cert := range certs {
		if c.matches(cert) {
			order = append(order, i)
		}
	}
	rank := func(cert *x509.Certificate) int {
		r := 0
		if canSign(cert.PublicKey) {
			r += 4
		}
		if valid(cert, now) {
			r += 2
		}
		if _, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			r++
		}
		return r
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(rank(certs[b])-rank(certs[a]), certs[b].NotBefore.Compare(certs[a].NotBefore))
	})
	return order
}

// canSign reports whether a certificate's key is of a kind that signs here.
func canSign(pub crypto.PublicKey) bool {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521()
	}
	return false
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
	if c.template != "" {
		parts = append(parts, fmt.Sprintf("template %q", c.template))
	}
	return strings.Join(parts, ", ")
}
