package proof

import (
	"crypto"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
)

// Client is what proves a client. Nobody changes it once it is registered:
// [Clients] replaces it.
type Client struct {
	credentials []Credential
	keyIDs      map[string]*x509.Certificate // by the name that a server gave them
	keys        keyset.Source                // by a JWK Set; nil: none
	trusts      []trust
	federations []Federation
	workloads   []Workload
}

// trust is subject-name/issuer trust: any certificate with this subject that a
// CA of these has issued.
type trust struct {
	subject string
	isURI   bool // subject is a SPIFFE ID, which stands among the certificate's URIs
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

// Workload is a SPIFFE ID that proves a client, by what the bundle of its trust domain
// verifies.
type Workload struct {
	ID   string
	Keys []keyset.Key // that sign JWT-SVIDs
	CAs  []*x509.Certificate
}

// Add adds certificates to the application. What is there already counts once.
func (c *Client) Add(certs ...*x509.Certificate) { c.AddTo(Application, certs...) }

// AddTo adds certificates to one of the client's objects. What is there already counts
// once.
func (c *Client) AddTo(owner Owner, certs ...*x509.Certificate) {
	for _, cert := range certs {
		if cert != nil && !slices.ContainsFunc(c.Credentials(owner), func(have Credential) bool {
			return have.Cert.Equal(cert)
		}) {
			c.AddCredential(Credential{ID: ids.UUID(), Name: cert.Subject.String(), Owner: owner, Cert: cert})
		}
	}
}

// AddCredential adds a certificate, whether it is there already or not.
func (c *Client) AddCredential(credential Credential) {
	c.credentials = append(c.credentials, credential)
}

// RemoveCredential removes the certificate with an ID.
func (c *Client) RemoveCredential(id string) {
	c.credentials = slices.DeleteFunc(c.credentials, func(have Credential) bool { return have.ID == id })
}

// Credentials are the certificates of one of the client's objects, the oldest first.
func (c *Client) Credentials(owner Owner) []Credential {
	var list []Credential
	for _, credential := range c.credentials {
		if credential.Owner == owner {
			list = append(list, credential)
		}
	}
	return list
}

// known are the certificates that the token endpoint has heard of.
func (c *Client) known(now time.Time) []*x509.Certificate {
	var certs []*x509.Certificate
	for _, credential := range c.credentials {
		if credential.Known == nil || credential.Known(now) {
			certs = append(certs, credential.Cert)
		}
	}
	return certs
}

// Set leaves the client with exactly these certificates, and no JWK Set.
func (c *Client) Set(certs ...*x509.Certificate) {
	c.credentials, c.keys = nil, nil
	c.Add(certs...)
}

// SetKeys gives the client a JWK Set in place of the one before.
func (c *Client) SetKeys(keys keyset.Source) { c.keys = keys }

// Remove removes certificates.
func (c *Client) Remove(certs ...*x509.Certificate) {
	c.credentials = slices.DeleteFunc(c.credentials, func(have Credential) bool {
		return slices.ContainsFunc(certs, have.Cert.Equal)
	})
}

// Name lets an assertion's kid name a certificate.
func (c *Client) Name(keyID string, cert *x509.Certificate) {
	c.Add(cert)
	c.keyIDs[keyID] = cert
}

// Trust accepts every certificate with this subject that one of the CAs issued.
func (c *Client) Trust(subject string, cas ...*x509.Certificate) {
	c.trusts = append(c.trusts, newTrust(subject, cas, false))
}

func newTrust(subject string, cas []*x509.Certificate, isURI bool) trust {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	return trust{subject, isURI, roots}
}

// isOf reports whether a certificate has the subject. A SPIFFE ID is the only URI of its SVID.
func (t trust) isOf(leaf *x509.Certificate) bool {
	if t.isURI {
		return len(leaf.URIs) == 1 && leaf.URIs[0].String() == t.subject
	}
	return t.subject == leaf.Subject.CommonName || t.subject == leaf.Subject.String()
}

// Federate adds a federated credential.
func (c *Client) Federate(f Federation) { c.federations = append(c.federations, f) }

// TrustWorkload lets a SPIFFE ID prove the client. It replaces what is trusted for that ID.
func (c *Client) TrustWorkload(w Workload) {
	c.workloads = slices.DeleteFunc(c.workloads, func(have Workload) bool { return have.ID == w.ID })
	c.workloads = append(c.workloads, w)
}

// trusted is every subject whose certificates prove the client: SPIFFE IDs too.
func (c *Client) trusted() []trust {
	all := slices.Clone(c.trusts)
	for _, w := range c.workloads {
		all = append(all, newTrust(w.ID, w.CAs, true))
	}
	return all
}

// copy returns a client that can be changed without this one.
func (c *Client) copy() *Client {
	next := &Client{
		credentials: slices.Clone(c.credentials),
		keyIDs:      maps.Clone(c.keyIDs),
		keys:        c.keys,
		trusts:      slices.Clone(c.trusts),
		federations: slices.Clone(c.federations),
		workloads:   slices.Clone(c.workloads),
	}
	if next.keyIDs == nil {
		next.keyIDs = make(map[string]*x509.Certificate)
	}
	return next
}
