package proof

import (
	"crypto"
	"crypto/x509"
	"maps"
	"slices"
)

// Client is what proves a client. Nobody changes it once it is registered:
// [Clients] replaces it.
type Client struct {
	certs       []*x509.Certificate
	keyIDs      map[string]*x509.Certificate // by the name that a server gave them
	trusts      []trust
	federations []Federation
}

// trust is subject-name/issuer trust: any certificate with this subject that a
// CA of these has issued.
type trust struct {
	subject string
	roots   *x509.CertPool
}

// Federation is a federated credential: whose assertions prove a client that has
// no certificate of its own. All four must match, letter by letter.
type Federation struct {
	Issuer   string
	Subject  string
	Audience string
	Key      crypto.PublicKey
}

// Add adds certificates. What is there already counts once.
func (c *Client) Add(certs ...*x509.Certificate) {
	for _, cert := range certs {
		if cert != nil && !slices.ContainsFunc(c.certs, cert.Equal) {
			c.certs = append(c.certs, cert)
		}
	}
}

// Set leaves the client with exactly these certificates.
func (c *Client) Set(certs ...*x509.Certificate) { c.certs = slices.Clone(certs) }

// Remove removes certificates.
func (c *Client) Remove(certs ...*x509.Certificate) {
	c.certs = slices.DeleteFunc(c.certs, func(have *x509.Certificate) bool {
		return slices.ContainsFunc(certs, have.Equal)
	})
}

// Name lets an assertion's kid name a certificate.
func (c *Client) Name(keyID string, cert *x509.Certificate) {
	c.Add(cert)
	c.keyIDs[keyID] = cert
}

// Trust accepts every certificate with this subject that one of the CAs issued.
func (c *Client) Trust(subject string, cas ...*x509.Certificate) {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	c.trusts = append(c.trusts, trust{subject, roots})
}

// Federate adds a federated credential.
func (c *Client) Federate(f Federation) { c.federations = append(c.federations, f) }

// copy returns a client that can be changed without this one.
func (c *Client) copy() *Client {
	next := &Client{
		certs:       slices.Clone(c.certs),
		keyIDs:      maps.Clone(c.keyIDs),
		trusts:      slices.Clone(c.trusts),
		federations: slices.Clone(c.federations),
	}
	if next.keyIDs == nil {
		next.keyIDs = make(map[string]*x509.Certificate)
	}
	return next
}

func (c *Client) thumbprints() []string {
	var names []string
	for _, cert := range c.certs {
		names = append(names, Thumbprint(cert))
	}
	return names
}

// candidates returns the registered certificates that an assertion's header
// names by x5t#S256, x5t or kid, in this order of preference. A header without
// any of them names all. Where a kid must be known, it counts beside a
// thumbprint too.
func (c *Client) candidates(a *Assertion, knownKeyID bool) []*x509.Certificate {
	kid, hasKeyID := a.Header["kid"].(string)
	certs := c.certs
	if hasKeyID && knownKeyID {
		certs = c.byKeyID(kid)
	}
	if id, ok := a.Header["x5t#S256"].(string); ok {
		return named(certs, decodeThumbprint(id), sum256)
	}
	if id, ok := a.Header["x5t"].(string); ok {
		return named(certs, decodeThumbprint(id), sum1)
	}
	if hasKeyID {
		return c.byKeyID(kid)
	}
	return certs
}

func (c *Client) byKeyID(kid string) []*x509.Certificate {
	if cert := c.keyIDs[kid]; cert != nil && slices.ContainsFunc(c.certs, cert.Equal) {
		return []*x509.Certificate{cert}
	}
	sum := decodeKeyID(kid)
	return slices.Concat(named(c.certs, sum, sum256), named(c.certs, sum, sum1))
}

func named(certs []*x509.Certificate, sum string, of func(*x509.Certificate) string) []*x509.Certificate {
	var found []*x509.Certificate
	for _, cert := range certs {
		if sum != "" && of(cert) == sum {
			found = append(found, cert)
		}
	}
	return found
}
