package certfile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// candidate is a certificate with its key.
type candidate struct {
	cert *x509.Certificate
	key  privateKey
}

// pick finds the pair in what was read.
func (r *reader) pick(selected thumbprint) (*Pair, error) {
	if selected != nil {
		return r.pickSelected(selected)
	}
	found := r.candidates()
	switch len(found) {
	case 0:
		return nil, r.explain()
	case 1:
		return r.pair(found[0])
	}
	var certs []*x509.Certificate
	for _, c := range found {
		certs = append(certs, c.cert)
	}
	return nil, fmt.Errorf("%w: %s", ErrSeveralKeys, namesOf(certs))
}

// candidates are the RSA keys that have a certificate, each with its best one,
// in the order of the file.
func (r *reader) candidates() []candidate {
	var found []candidate
	for _, key := range r.keys {
		var best *x509.Certificate
		for _, cert := range r.certs {
			if belongs(cert, key) && (best == nil || outlasts(cert, best)) {
				best = cert
			}
		}
		seen := slices.ContainsFunc(found, func(c candidate) bool { return c.cert == best })
		if best != nil && !seen {
			found = append(found, candidate{best, key})
		}
	}
	return found
}

func belongs(cert *x509.Certificate, key privateKey) bool {
	public, _ := publicKeyOf(cert)
	return public != nil && key.public != nil && public.Equal(key.public)
}

// outlasts decides between certificates of one key: that of the last renewal.
// There is no clock here, but one that ends later is never the expired one of
// the two.
func outlasts(a, b *x509.Certificate) bool {
	if !a.NotAfter.Equal(b.NotAfter) {
		return a.NotAfter.After(b.NotAfter)
	}
	return a.NotBefore.After(b.NotBefore)
}

// pair makes the result.
func (r *reader) pair(c candidate) (*Pair, error) {
	if _, pssOnly := publicKeyOf(c.cert); pssOnly {
		return nil, errPSSOnly
	}
	key, err := c.key.open()
	if err != nil {
		return nil, err
	}
	return &Pair{Leaf: c.cert, Chain: SortChain(c.cert, r.certs), Key: key}, nil
}

// pickSelected finds the certificate with a thumbprint, and its key.
func (r *reader) pickSelected(selected thumbprint) (*Pair, error) {
	i := slices.IndexFunc(r.certs, selected.matches)
	if i < 0 {
		if len(r.certs) == 0 || r.blocked() != nil {
			return nil, r.explain()
		}
		return nil, fmt.Errorf("%w with thumbprint %X; there are %s", ErrNoCertificate, []byte(selected), namesOf(r.certs))
	}
	cert := r.certs[i]
	if public, _ := publicKeyOf(cert); public == nil {
		return nil, fmt.Errorf("%w: the selected certificate %s has one of %s", ErrNotRSA, nameOf(cert), cert.PublicKeyAlgorithm)
	}
	for _, key := range r.keys {
		if belongs(cert, key) {
			return r.pair(candidate{cert, key})
		}
	}
	if len(r.candidates()) == 0 {
		return nil, r.explain()
	}
	return nil, fmt.Errorf("%w for the selected certificate %s", ErrNoPrivateKey, nameOf(cert))
}

// blocked is the first password error: what it hides could be anything.
func (r *reader) blocked() error {
	for _, err := range r.problems {
		if errors.Is(err, ErrPasswordRequired) || errors.Is(err, ErrWrongPassword) {
			return err
		}
	}
	return nil
}

// explain says why there is no pair: the most useful reason first.
func (r *reader) explain() error {
	if err := r.blocked(); err != nil {
		return err
	}
	rsaKeys := slices.DeleteFunc(slices.Clone(r.keys), func(k privateKey) bool { return k.algorithm != algorithmRSA })
	if len(r.keys) > 0 && len(rsaKeys) == 0 {
		return fmt.Errorf("%w: the private key is of the kind %s; client certificates for OAuth need RSA", ErrNotRSA, r.keys[0].algorithm)
	}
	if len(r.problems) > 0 {
		return r.problems[0]
	}
	if len(r.keys) > 0 && len(r.certs) > 0 {
		if _, err := rsaKeys[0].open(); errors.Is(err, ErrFormat) {
			return err // damaged, and therefore nobody's
		}
		return fmt.Errorf("%w: certificate %s, %s", ErrKeyMismatch, nameOf(r.likelyLeaf()), rsaKeys[0])
	}
	return r.missing()
}

// missing is the error for files that lack the key, the certificate, or both.
// What else is in them explains it.
func (r *reader) missing() error {
	also := strings.Join(r.notes, "; and ")
	if len(r.certs)+len(r.keys) == 0 {
		text := "nothing in it is a certificate or a key"
		if also != "" {
			text = "it is " + also
		}
		return &detailError{fmt.Sprintf("%v: %s", ErrFormat, text), []error{ErrFormat, ErrNoPrivateKey, ErrNoCertificate}}
	}
	e := &detailError{}
	if len(r.certs) > 0 {
		e.kinds = []error{ErrNoPrivateKey}
		e.text = fmt.Sprintf("%v: only the certificate %s; use the PFX, or give the file with the key too", ErrNoPrivateKey, nameOf(r.likelyLeaf()))
	} else {
		e.kinds = []error{ErrNoCertificate}
		e.text = fmt.Sprintf("%v: only a private key; give the file with the certificate too", ErrNoCertificate)
	}
	if also != "" {
		e.kinds = append(e.kinds, ErrFormat)
		e.text += "; there is also " + also
	}
	return e
}

// likelyLeaf is the certificate to name where none has a key.
func (r *reader) likelyLeaf() *x509.Certificate {
	for _, cert := range r.certs {
		if !cert.IsCA {
			return cert
		}
	}
	return r.certs[0]
}
