package certtokentest

import (
	"crypto/x509"

	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// Register adds certificates to a client, which exists from then on in every
// tenant. Without certificates the client exists and none is accepted. What is
// registered twice counts once.
func (s *Server) Register(clientID string, certs ...*x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Add(certs...) })
}

// Replace registers exactly these certificates for a client, as an
// administrator does who uploads the new one and removes the old.
func (s *Server) Replace(clientID string, certs ...*x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Set(certs...) })
}

// Unregister removes certificates of a client; without any, the client itself.
func (s *Server) Unregister(clientID string, certs ...*x509.Certificate) {
	if len(certs) == 0 {
		s.endpoint.clients.Remove(clientID)
		return
	}
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Remove(certs...) })
}

// RegisterKeyID adds a certificate to a client under a name of its own, which an
// assertion may give in its kid header. With [WithIssuer] an assertion whose kid is
// neither such a name nor a thumbprint is refused, whatever else names the key.
func (s *Server) RegisterKeyID(clientID, keyID string, cert *x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Name(keyID, cert) })
}

// TrustSubject accepts for a client every certificate with this subject that
// one of the CAs has issued, sent in the assertion's x5c with the
// intermediate certificates (subject-name/issuer trust). The subject is the
// common name, or the whole name as [crypto/x509/pkix.Name.String] writes it.
func (s *Server) TrustSubject(clientID, subject string, cas ...*x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Trust(subject, cas...) })
}

// Federate adds a federated credential to a client.
func (s *Server) Federate(clientID string, f Federation) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Federate(proof.Federation(f)) })
}
