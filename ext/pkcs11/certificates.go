package pkcs11

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/certtoken/certtoken"
	p11 "github.com/miekg/pkcs11"
)

// stored is a certificate on the token.
type stored struct {
	id    []byte
	label string
	cert  *x509.Certificate
}

// certificates reads all X.509 certificates of the token. What can't be parsed
// is left out.
func (o objects) certificates() ([]stored, error) {
	found, err := o.find(
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_CERTIFICATE),
		p11.NewAttribute(p11.CKA_CERTIFICATE_TYPE, p11.CKC_X_509))
	if err != nil {
		return nil, err
	}
	var all []stored
	for _, handle := range found {
		value, err := o.attribute(handle, p11.CKA_VALUE)
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(value)
		if err != nil {
			continue
		}
		id, label, err := o.name(handle)
		if err != nil {
			return nil, err
		}
		all = append(all, stored{id, label, cert})
	}
	return all, nil
}

// leafOf is the certificate of a key: by id, else by label; of several the one
// that fits the key and is the newest valid.
func leafOf(key *privateKey, all []stored, now time.Time) (*x509.Certificate, error) {
	byID := func(s stored) bool { return len(key.id) > 0 && bytes.Equal(s.id, key.id) }
	byLabel := func(s stored) bool { return key.label != "" && s.label == key.label }
	for _, belongs := range []func(stored) bool{byID, byLabel} {
		var fit []*x509.Certificate
		for _, s := range all {
			if belongs(s) {
				fit = append(fit, s.cert)
			}
		}
		if len(fit) > 0 {
			return slices.MaxFunc(fit, func(a, b *x509.Certificate) int { return compare(a, b, key.public, now) }), nil
		}
	}
	return nil, fmt.Errorf(
		"%w: none of %d on the token has the id or the label of the key %v; store it there, or give it by WithCertificate",
		certtoken.ErrNoCertificate,
		len(all),
		key,
	)
}

// compare puts the certificate that is rather meant last.
func compare(a, b *x509.Certificate, pub publicKey, now time.Time) int {
	rank := func(c *x509.Certificate) int {
		r := 0
		if pub == nil || pub.Equal(c.PublicKey) {
			r += 2
		}
		if !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			r++
		}
		return r
	}
	return cmp.Or(rank(a)-rank(b), a.NotBefore.Compare(b.NotBefore))
}
