package certtokentest

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// Register adds certificates to a client, which exists from then on in every
// tenant. Without certificates the client exists and none is accepted. What is
// registered twice counts once.
func (s *Server) Register(clientID string, certs ...*x509.Certificate) {
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.Add(certs...) })
}

// Replace registers exactly these certificates for a client, and no JWK Set, as an
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

// RegisterJWKS registers a client by a JWK Set (RFC 7517 §5), or by one JWK, in place of
// an earlier set or URL; its certificates stay. An assertion's kid chooses among the
// keys. Several may have the same one, and a key without goes by its thumbprint (RFC
// 7638). A key whose use or key_ops isn't for signatures is left out, and one with an
// alg is for that alone. A certificate in x5c proves the client in TLS too (RFC 8705
// §2.2.2). Errors are a document that can't be read, a private key in it, and a server
// without [WithIssuer]: Entra ID knows certificates only.
func (s *Server) RegisterJWKS(clientID string, set []byte) error {
	keys, err := keyset.Parse(set)
	if err != nil {
		return fmt.Errorf("certtokentest: JWK Set of client %q: %w", clientID, err)
	}
	return s.registerKeys(clientID, keys)
}

// RegisterJWKSURI registers a client by the URL of a JWK Set, its jwks_uri (RFC 7591
// §2), as [Server.RegisterJWKS] does by the set. The set is fetched by the HTTP client
// when it is needed; nil stands for [http.DefaultClient]. It is used for as long as the
// answer's Cache-Control says, five minutes by default and an hour at most, and is
// fetched again for a key that isn't in it, at most once a second: then a key that has
// left it is refused. Errors are a URL that is neither https nor of this machine, and a
// server without [WithIssuer].
func (s *Server) RegisterJWKSURI(clientID, url string, client *http.Client) error {
	if client == nil {
		client = http.DefaultClient
	}
	keys, err := keyset.NewRemote(url, client)
	if err != nil {
		return fmt.Errorf("certtokentest: client %q: %w", clientID, err)
	}
	return s.registerKeys(clientID, keys)
}

func (s *Server) registerKeys(clientID string, keys keyset.Source) error {
	if !s.endpoint.cfg.generic {
		return fmt.Errorf("certtokentest: client %q: Entra ID knows certificates and no JWK Set: add WithIssuer", clientID)
	}
	s.endpoint.clients.Update(clientID, func(c *proof.Client) { c.SetKeys(keys) })
	return nil
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

// TrustIssuer takes the assertions of JWT bearer grants that another issuer signed with a
// key, such as the ID-JAGs of an identity provider: another server with its
// [Server.Issuer] and [Server.PublicKey]. The assertion must be for this server, and its
// client_id, where it has one, the client that brings it. Only a server of [WithIssuer]
// takes such a grant.
func (s *Server) TrustIssuer(issuer string, key crypto.PublicKey) {
	s.endpoint.issuers.Update(issuer, func(c *proof.Client) {
		c.Federate(proof.Federation{Issuer: issuer, Key: key})
	})
}

// PublicKey is the key that this server's tokens are signed with. All servers of a process
// have the same.
func (s *Server) PublicKey() crypto.PublicKey { return grants.SharedKey().Public() }

// AllowUsers names the users for whom a client is granted tokens by assertions that it
// signs itself (RFC 7523 §2.1); every other is refused until they have consented, as
// Salesforce says it. A second call replaces the first. Before the first call every user
// is allowed.
func (s *Server) AllowUsers(clientID string, users ...string) {
	s.endpoint.retune(func(t *tuning) {
		next := maps.Clone(t.users)
		if next == nil {
			next = make(map[string][]string)
		}
		next[clientID] = append([]string{}, users...)
		t.users = next
	})
}

// RegisterAgent adds an agent identity, or replaces it. The server must be one of Entra
// ID. In which words the real one refuses what is wrong about an agent isn't known; here
// such refusals have no AADSTS code but those of federated credentials.
func (s *Server) RegisterAgent(a Agent) {
	e := s.endpoint
	a.Users = slices.Clone(a.Users)
	e.retune(func(t *tuning) {
		next := maps.Clone(t.agents)
		if next == nil {
			next = make(map[string]Agent)
		}
		next[a.ID] = a
		t.agents = next
	})
	e.clients.Remove(a.ID)
	e.clients.Update(a.ID, func(*proof.Client) {})
}
