package certtokentest

import (
	"fmt"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// TrustSPIFFE lets a workload prove a client by its SPIFFE ID. The bundle is that of its
// trust domain: a JWK Set with certificates that issue X.509-SVIDs (use x509-svid) and keys
// that sign JWT-SVIDs (use jwt-svid), as SPIRE's server shows it. A JWT-SVID comes as an
// assertion of the type jwt-spiffe, for this server's [Server.Issuer] alone, as often as its
// agent gives it (draft-ietf-oauth-spiffe-client-auth). An X.509-SVID proves the client in
// TLS, and signs its assertions if it is in their x5c.
//
// The ID is written as it stands in an SVID, its trust domain in lower case, and has a path.
// Another call for the same ID replaces the bundle, as when the trust domain's keys are
// rotated. Errors are an ID that isn't one, a bundle that can't be read, and a server
// without [WithIssuer].
func (s *Server) TrustSPIFFE(clientID, id string, bundle []byte) error {
	if !isSPIFFEID(id) {
		return fmt.Errorf("certtokentest: client %q: %q is no SPIFFE ID such as spiffe://example.org/my-app", clientID, id)
	}
	keys, cas, err := keyset.ParseBundle(bundle)
	if err != nil {
		return fmt.Errorf("certtokentest: bundle for %q: %w", id, err)
	}
	if !s.endpoint.cfg.generic {
		return fmt.Errorf("certtokentest: client %q: Entra ID knows no SPIFFE IDs: add WithIssuer", clientID)
	}
	s.endpoint.clients.Update(clientID, func(c *proof.Client) {
		c.TrustWorkload(proof.Workload{ID: id, Keys: keys, CAs: cas})
	})
	return nil
}

// spiffeID matches the ID of a workload: a trust domain and a path, without the ID of a trust
// domain itself, which has no path (SPIFFE-ID §2.1 and §2.2).
var spiffeID = lazyregexp.New(`^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+$`)

// dotSegment matches a segment that means another place in the path.
var dotSegment = lazyregexp.New(`/\.{1,2}(/|$)`)

// maxSPIFFEID is the length of the longest ID in bytes (SPIFFE-ID §2.3).
const maxSPIFFEID = 2048

func isSPIFFEID(id string) bool {
	return len(id) <= maxSPIFFEID && spiffeID().MatchString(id) && !dotSegment().MatchString(id)
}
