package certfile

import (
	"bytes"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
)

// SortChain finds the issuers of leaf in pool, nearest first. The others are
// strangers and left out, also those that only have an issuer's name. The pool
// isn't changed.
func SortChain(leaf *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	s := chainSorter{checks: maxSignatureChecks}
	var chain []*x509.Certificate
	rest := slices.DeleteFunc(slices.Clone(pool), func(c *x509.Certificate) bool { return c == leaf })
	for child := leaf; len(chain) < maxChain; {
		issuer := s.issuer(child, rest)
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
		// A certificate is taken only once, so a loop ends.
		rest = slices.DeleteFunc(rest, func(c *x509.Certificate) bool { return c == issuer })
		child = issuer
	}
	return chain
}

type chainSorter struct {
	checks int // signatures that may still be verified
}

// issuer finds who signed child, or nil.
func (s *chainSorter) issuer(child *x509.Certificate, pool []*x509.Certificate) *x509.Certificate {
	if bytes.Equal(child.RawIssuer, child.RawSubject) && s.signed(child, child) != no {
		return nil // its own
	}
	var named []*x509.Certificate
	for _, c := range pool {
		if bytes.Equal(c.RawSubject, child.RawIssuer) {
			named = append(named, c)
		}
	}
	slices.SortStableFunc(named, func(a, b *x509.Certificate) int {
		if ka, kb := keyIDsDiffer(child, a), keyIDsDiffer(child, b); ka != kb {
			if ka {
				return 1
			}
			return -1
		}
		return b.NotAfter.Compare(a.NotAfter)
	})
	var perhaps *x509.Certificate
	for _, c := range named {
		switch s.signed(child, c) {
		case yes:
			return c
		case unknown:
			if perhaps == nil && !keyIDsDiffer(child, c) {
				perhaps = c
			}
		}
	}
	return perhaps
}

func keyIDsDiffer(child, issuer *x509.Certificate) bool {
	return len(child.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0 &&
		!bytes.Equal(child.AuthorityKeyId, issuer.SubjectKeyId)
}

type answer int

const (
	no answer = iota
	yes
	unknown // the signature can't be verified here
)

// signed reports whether child's signature is by the key of issuer.
func (s *chainSorter) signed(child, issuer *x509.Certificate) answer {
	if s.checks == 0 || !verifiable(child, issuer) {
		return unknown
	}
	s.checks--
	err := issuer.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	var insecure x509.InsecureAlgorithmError
	switch {
	case err == nil:
		return yes
	case errors.Is(err, x509.ErrUnsupportedAlgorithm), errors.As(err, &insecure):
		return unknown
	default:
		return no
	}
}

// verifiable reports whether verifying is safe: not with a modulus that takes
// seconds, nor with an algorithm that panics in FIPS 140 mode.
func verifiable(child, issuer *x509.Certificate) bool {
	key, isRSA := issuer.PublicKey.(*rsa.PublicKey)
	if isRSA && key.N.BitLen() > maxKeyBits {
		return false
	}
	if !fips140.Enforced() {
		return true
	}
	switch child.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA:
		return false
	}
	return !isRSA || key.N.BitLen() >= minKeyBits
}
