package certtokentest

import (
	"crypto/x509"

	"github.com/certtoken/certtoken/certtokentest/internal/graph"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/internal/jws"
)

// WithGraph lets a server of Entra ID answer the requests by which a client rolls its own
// keys in Microsoft Graph. It is modelled by Microsoft's documentation and by what people
// report; it was never compared with the live service. At the server's own address, and
// with [New] at every host, there are under /v1.0 and /beta:
//
//   - POST /applications/{object id}/addKey and /removeKey
//   - GET /applications/{object id}, for its keyCredentials
//   - the same with /applications(appId='{client id}'), and for /servicePrincipals
//
// The ids are [ApplicationID] and [ServicePrincipalID]. The certificates are those that
// the token endpoint checks: what [Server.Register] adds is the application's, and what
// [Server.RegisterServicePrincipal] adds is the service principal's. A client proves
// itself to the token endpoint by either.
//
// An access token of this server for the audience is needed, of the very client. The proof
// is checked for real: it is a JWT in base64url without padding, signed by a certificate
// of the object that is registered and valid, whose iss is the object's id, whose aud is
// that of the rules, and which is valid for ten minutes at most. Anything wrong about it is
// 401 Authentication_MissingOrMalformed, and why is in innerError.certtokentest. Without a
// proof or without the permission it is 403 Authorization_RequestDenied; an unknown object
// or keyId is 404.
func WithGraph(rules GraphRules) Option {
	return func(c *config) {
		if rules.Propagation < 0 || rules.Servers < 0 || rules.MaxLife < 0 {
			c.fail("WithGraph: Propagation, Servers and MaxLife can't be negative")
		}
		for _, alg := range rules.ProofAlgorithms {
			if !jws.Known(string(alg)) || !jws.IsForRSA(string(alg)) {
				c.fail("WithGraph: %q is no algorithm for RSA keys", string(alg))
			}
		}
		c.graph = &rules
	}
}

// ApplicationID is the object id of a client's application, by which Microsoft Graph knows
// it. It is another one than the client's id.
func ApplicationID(clientID string) string { return graph.ObjectID(proof.Application, clientID) }

// ServicePrincipalID is the object id of a client's service principal. It is the oid of
// the client's own tokens.
func ServicePrincipalID(clientID string) string {
	return graph.ObjectID(proof.ServicePrincipal, clientID)
}

// RegisterServicePrincipal adds certificates to a client's service principal, whereas
// [Server.Register] adds them to its application. What is registered twice counts once.
func (s *Server) RegisterServicePrincipal(clientID string, certs ...*x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.AddTo(proof.ServicePrincipal, certs...) })
}

// KeyCredential is a certificate that an application or a service principal has.
type KeyCredential struct {
	KeyID       string
	Name        string
	Certificate *x509.Certificate
}

// KeyCredentials are the certificates of the application or the service principal with an
// object id, the oldest first. An unknown object has none.
func (s *Server) KeyCredentials(objectID string) (list []KeyCredential) {
	for _, clientID := range s.endpoint.clients.Names() {
		for _, owner := range []proof.Owner{proof.Application, proof.ServicePrincipal} {
			client := s.endpoint.clients.Lookup(clientID)
			if client == nil || graph.ObjectID(owner, clientID) != objectID {
				continue
			}
			for _, c := range client.Credentials(owner) {
				list = append(list, KeyCredential{c.ID, c.Name, c.Cert})
			}
		}
	}
	return list
}

// Graph is what [WithGraph] added to the server, for faults: [Resource.Fail] with
// [LostAnswer] carries a request out whose client doesn't hear of it. Without the option
// it is nil.
func (s *Server) Graph() *Resource { return s.graph }
