package certfile

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSeveralCertificates is the error of [ParseWithoutKey] where more than one
// certificate could be meant.
var ErrSeveralCertificates = errors.New("several certificates: select one by its thumbprint")

// Public is what a file of certificates held.
type Public struct {
	Certificates []*x509.Certificate // in the order of the file, each of them once; at least one
	Format       string              // "PEM" or "DER", for people
}

// ParsePublic reads the certificates of data: PEM in every form that [Parse]
// reads, DER, PKCS #7, or base64 of them. They may be anybody's, such as the CAs
// that a server is verified with, so crypto/x509 judges each of them, and one
// that it refuses is an error. Private keys in the file are passed over, none is
// decrypted. A PFX is refused with [ErrFormat]: it needs a password.
//
// Errors wrap [ErrNoCertificate], [ErrFormat] or [ErrTooLarge].
func ParsePublic(data []byte) (*Public, error) {
	r := newReader(Options{}, 0)
	r.publicOnly = true
	if err := r.readFile(data); err != nil {
		return nil, err
	}
	switch {
	case len(r.problems) > 0:
		return nil, r.problems[0]
	case len(r.certs) == 0:
		return nil, r.noCertificates()
	}
	return &Public{Certificates: r.certs, Format: r.format}, nil
}

// noCertificates is the error for a file without certificates.
func (r *reader) noCertificates() error {
	if len(r.notes) > 0 {
		return &detailError{
			fmt.Sprintf("%v: it is %s", ErrNoCertificate, strings.Join(r.notes, "; and ")),
			[]error{ErrNoCertificate, ErrFormat},
		}
	}
	return fmt.Errorf("%w in it", ErrNoCertificate)
}

// ParseWithoutKey reads our own certificate from a file that holds it without
// its private key, such as the .cer that was registered; [Pair.Key] is nil. It
// reads what ParsePublic does. The leaf is the certificate with the thumbprint
// (see [Options]), or, if that is empty, the one that issued none of the others.
// Where one key has several certificates, that is the one that ends last.
//
// Errors are those of ParsePublic, and [ErrSeveralCertificates].
func ParseWithoutKey(data []byte, thumbprint string) (*Pair, error) {
	selected, err := parseThumbprint(thumbprint)
	if err != nil {
		return nil, err
	}
	public, err := ParsePublic(data)
	if err != nil {
		return nil, err
	}
	leaf, err := pickLeaf(public.Certificates, selected)
	if err != nil {
		return nil, err
	}
	return &Pair{Leaf: leaf, Chain: SortChain(leaf, public.Certificates), Format: public.Format}, nil
}

// pickLeaf finds the certificate that is meant where no key shows it.
func pickLeaf(certs []*x509.Certificate, selected thumbprint) (*x509.Certificate, error) {
	if selected != nil {
		i := slices.IndexFunc(certs, selected.matches)
		if i < 0 {
			return nil, fmt.Errorf("%w with thumbprint %X; there are %s", ErrNoCertificate, []byte(selected), namesOf(certs))
		}
		return certs[i], nil
	}
	leaves := leavesOf(certs)
	best := leaves[0]
	for _, cert := range leaves[1:] {
		if !bytes.Equal(cert.RawSubjectPublicKeyInfo, best.RawSubjectPublicKeyInfo) {
			return nil, fmt.Errorf("%w: %s", ErrSeveralCertificates, namesOf(leaves))
		}
		if outlasts(cert, best) {
			best = cert
		}
	}
	return best, nil
}

// leavesOf are the certificates that issued none of the others. Where each
// issued another one, nothing shows which is meant, and the file's first is
// taken.
func leavesOf(certs []*x509.Certificate) []*x509.Certificate {
	s := chainSorter{checks: maxSignatureChecks}
	leaves := slices.DeleteFunc(slices.Clone(certs), func(issuer *x509.Certificate) bool {
		return slices.ContainsFunc(certs, func(cert *x509.Certificate) bool {
			return cert != issuer && bytes.Equal(cert.RawIssuer, issuer.RawSubject) && s.signed(cert, issuer) != no
		})
	})
	if len(leaves) == 0 {
		return certs[:1]
	}
	return leaves
}
