package certfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Pair is what a file held.
type Pair struct {
	Leaf   *x509.Certificate   // the certificate that Key belongs to
	Chain  []*x509.Certificate // issuers of Leaf, nearest first, as far as the file holds them
	Key    crypto.Signer       // *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey
	Format string              // "PFX" or "PEM" or "DER", for people

	// Deviations says what crypto/x509 refuses about Leaf and Chain, whose
	// fields are zero as far as they can't be read, and what else in the files
	// could not be read and was left out: an issuer, perhaps.
	Deviations []string
}

// includes reports whether the leaf or its chain has one of certs.
func (p *Pair) includes(certs []*x509.Certificate) bool {
	return slices.ContainsFunc(certs, func(c *x509.Certificate) bool {
		return c == p.Leaf || slices.Contains(p.Chain, c)
	})
}

// candidate is a certificate with its key: several copies of it, as far as they
// differ, because one may be damaged.
type candidate struct {
	cert *x509.Certificate
	keys []privateKey
}

// add adds a copy of the key. Copies of an EC or Ed25519 key are all whole, as they have
// the same public key, so one is enough.
func (c *candidate) add(key privateKey) {
	same := func(k privateKey) bool { return bytes.Equal(k.pkcs1, key.pkcs1) }
	if len(c.keys) < maxKeyCopies && !slices.ContainsFunc(c.keys, same) {
		c.keys = append(c.keys, key)
	}
}

// open opens the first copy that is whole. The error is that of the first one.
func (c *candidate) open() (crypto.Signer, error) {
	var first error
	for _, copied := range c.keys {
		key, err := copied.open()
		if err == nil {
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// pick finds the pair in what was read.
func pick(r *reader, selected thumbprint) (*Pair, error) {
	if selected != nil {
		return pickSelected(r, selected)
	}
	found := candidates(r)
	switch len(found) {
	case 0:
		return nil, explain(r)
	case 1:
		return pair(r, found[0])
	}
	var certs []*x509.Certificate
	for _, c := range found {
		certs = append(certs, c.cert)
	}
	return nil, fmt.Errorf("%w: %s", ErrSeveralKeys, namesOf(certs))
}

// candidates are the keys that have a certificate, each with its best one,
// in the order of the file.
func candidates(r *reader) []candidate {
	var found []candidate
	for _, key := range r.keys {
		var best *x509.Certificate
		for _, cert := range r.certs {
			if key.belongsTo(cert) && (best == nil || outlasts(cert, best)) {
				best = cert
			}
		}
		if best == nil {
			continue
		}
		i := slices.IndexFunc(found, func(c candidate) bool { return c.cert == best })
		if i < 0 {
			i, found = len(found), append(found, candidate{cert: best})
		}
		found[i].add(key)
	}
	return found
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
func pair(r *reader, c candidate) (*Pair, error) {
	if _, pssOnly := publicKeyOf(c.cert); pssOnly {
		return nil, errPSSOnly
	}
	key, err := c.open()
	if err != nil {
		return nil, err
	}
	pair := &Pair{Leaf: c.cert, Chain: SortChain(c.cert, r.certs), Key: key}
	pair.Deviations = deviationsOf(r, pair)
	return pair, nil
}

// pickSelected finds the certificate with a thumbprint, and its key.
func pickSelected(r *reader, selected thumbprint) (*Pair, error) {
	i := slices.IndexFunc(r.certs, selected.matches)
	if i < 0 {
		if len(r.certs) == 0 || blocked(r) != nil {
			return nil, explain(r)
		}
		return nil, fmt.Errorf("%w with thumbprint %X; there are %s", ErrNoCertificate, []byte(selected), namesOf(r.certs))
	}
	cert := r.certs[i]
	if public, _ := publicKeyOf(cert); public == nil {
		return nil, unsupportedCertificate("the selected certificate", cert)
	}
	found := candidate{cert: cert}
	for _, key := range r.keys {
		if key.belongsTo(cert) {
			found.add(key)
		}
	}
	if len(found.keys) > 0 {
		return pair(r, found)
	}
	if len(candidates(r)) == 0 {
		return nil, explain(r)
	}
	return nil, fmt.Errorf("%w for the selected certificate %s", ErrNoPrivateKey, nameOf(cert))
}

// deviationsOf collects what is to be said about a pair and its files.
func deviationsOf(r *reader, pair *Pair) []string {
	var out []string
	for _, text := range r.odd[pair.Leaf] {
		out = append(out, "leaf: "+text)
	}
	for i, issuer := range pair.Chain {
		for _, text := range r.odd[issuer] {
			out = append(out, fmt.Sprintf("issuer %d: %s", i+1, text))
		}
	}
	for _, err := range r.problems {
		out = append(out, "left out: "+strings.Replace(err.Error(), ErrFormat.Error()+": ", "", 1))
	}
	return out
}
