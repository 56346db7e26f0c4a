package certtokentest

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
)

// registry knows the clients and which certificates prove them.
type registry struct {
	mu      sync.RWMutex
	clients map[string]*registration
}

type registration struct {
	certs  []*x509.Certificate
	keyIDs map[string]*x509.Certificate // by the name that a server gave them
	trusts []trust

	federations []Federation
}

// trust is subject-name/issuer trust: any certificate with this subject that a
// CA of these has issued.
type trust struct {
	subject string
	roots   *x509.CertPool
}

// Register adds certificates to a client, which exists from then on in every
// tenant. Without certificates the client exists and none is accepted. What is
// registered twice counts once.
func (s *Server) Register(clientID string, certs ...*x509.Certificate) {
	s.clients.update(clientID, func(r *registration) {
		for _, cert := range certs {
			if cert != nil && !slices.ContainsFunc(r.certs, cert.Equal) {
				r.certs = append(r.certs, cert)
			}
		}
	})
}

// Replace registers exactly these certificates for a client, as an
// administrator does who uploads the new one and removes the old.
func (s *Server) Replace(clientID string, certs ...*x509.Certificate) {
	s.clients.update(clientID, func(r *registration) { r.certs = slices.Clone(certs) })
}

// Unregister removes certificates of a client; without any, the client itself.
func (s *Server) Unregister(clientID string, certs ...*x509.Certificate) {
	if len(certs) == 0 {
		s.clients.remove(clientID)
		return
	}
	s.clients.update(clientID, func(r *registration) {
		r.certs = slices.DeleteFunc(slices.Clone(r.certs), func(have *x509.Certificate) bool {
			return slices.ContainsFunc(certs, have.Equal)
		})
	})
}

// RegisterKeyID adds a certificate to a client under a name of its own, which an
// assertion may give in its kid header.
func (s *Server) RegisterKeyID(clientID, keyID string, cert *x509.Certificate) {
	s.Register(clientID, cert)
	s.clients.update(clientID, func(r *registration) {
		r.keyIDs = maps.Clone(r.keyIDs)
		if r.keyIDs == nil {
			r.keyIDs = make(map[string]*x509.Certificate)
		}
		r.keyIDs[keyID] = cert
	})
}

// TrustSubject accepts for a client every certificate with this subject that
// one of the CAs has issued, sent in the assertion's x5c with the
// intermediate certificates (subject-name/issuer trust). The subject is the
// common name, or the whole name as [crypto/x509/pkix.Name.String] writes it.
func (s *Server) TrustSubject(clientID, subject string, cas ...*x509.Certificate) {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	s.clients.update(clientID, func(r *registration) {
		r.trusts = append(slices.Clone(r.trusts), trust{subject, roots})
	})
}

// update replaces a client's registration by a changed copy, so that a request
// in progress sees one or the other.
func (g *registry) update(clientID string, change func(*registration)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.clients == nil {
		g.clients = make(map[string]*registration)
	}
	var next registration
	if old := g.clients[clientID]; old != nil {
		next = *old
		next.certs = slices.Clone(old.certs)
	}
	change(&next)
	g.clients[clientID] = &next
}

func (g *registry) remove(clientID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.clients, clientID)
}

// lookup returns a registration that nobody changes, or nil.
func (g *registry) lookup(clientID string) *registration {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.clients[clientID]
}

// thumbprint is a certificate's SHA-256, by which messages name it.
func thumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// candidates returns the registered certificates that an assertion's header
// names by x5t#S256, x5t or kid, in this order of preference. A header without
// any of them names all.
func (r *registration) candidates(header map[string]any) []*x509.Certificate {
	if id, ok := header["x5t#S256"].(string); ok {
		return r.named(decodeThumbprint(id), sum256)
	}
	if id, ok := header["x5t"].(string); ok {
		return r.named(decodeThumbprint(id), sum1)
	}
	kid, ok := header["kid"].(string)
	if !ok {
		return r.certs
	}
	if cert := r.keyIDs[kid]; cert != nil && slices.ContainsFunc(r.certs, cert.Equal) {
		return []*x509.Certificate{cert}
	}
	sum := decodeKeyID(kid)
	return slices.Concat(r.named(sum, sum256), r.named(sum, sum1))
}

func (r *registration) named(sum string, of func(*x509.Certificate) string) []*x509.Certificate {
	var found []*x509.Certificate
	for _, cert := range r.certs {
		if sum != "" && of(cert) == sum {
			found = append(found, cert)
		}
	}
	return found
}

func sum256(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return string(sum[:])
}

// sum1 is a name, not a protection, so FIPS mode has no say in it.
func sum1(cert *x509.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return string(sum[:])
}

// decodeKeyID reads a kid that is one of the certificate's thumbprints, as
// Entra ID's are: in hex, or as x5t and x5t#S256 write them.
func decodeKeyID(kid string) string {
	if raw, err := hex.DecodeString(kid); err == nil {
		return string(raw)
	}
	return decodeThumbprint(kid)
}

// decodeThumbprint also reads the padded and the standard alphabet: widespread
// clients send x5t#S256 in it, and Entra ID takes it.
func decodeThumbprint(id string) string {
	id = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(id, "="))
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	return string(raw)
}
