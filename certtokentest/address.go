package certtokentest

import (
	"slices"
	"time"

	"github.com/certtoken/certtoken"
)

// URL is the server's origin, without a trailing slash: its loopback address, or
// without a socket the host that it stands for.
func (s *Server) URL() string {
	if s.wire != nil {
		return s.wire.URL()
	}
	return s.endpoint.cfg.origin()
}

// Issuer is the server's issuer identifier: what [WithIssuer] says, else its
// URL, for Entra ID with the GUID of the tenant that Authority names.
func (s *Server) Issuer() string { return s.endpoint.cfg.issuerAt(s.URL()) }

// TokenURL is the token endpoint, for Entra ID that of the tenant that Authority
// names.
func (s *Server) TokenURL() string { return s.endpoint.cfg.tokenURLAt(s.URL()) }

// Authority is how a client addresses the server with the assertion that it
// wants: Entra ID's at the loopback address, [certtoken.Entra] itself without a
// socket, [certtoken.Issuer] with [WithIssuer]. The algorithm is the client's choice: a
// server that takes few, as that of [LikeFAPI2], wants certtoken.WithAlgorithm for a key
// that can do several.
//
// [Server.Client] reaches the server under any name, so certtoken.Entra(tenant)
// can be used with either form, and is needed for several tenants.
func (s *Server) Authority(opts ...certtoken.AuthorityOption) certtoken.Authority {
	switch {
	case s.endpoint.cfg.generic:
		return certtoken.Issuer(s.Issuer(), s.TokenURL(), append(s.genericOptions(), opts...)...)
	case s.wire == nil:
		return certtoken.Entra(s.endpoint.cfg.tenant(), opts...)
	}
	dialect := []certtoken.AuthorityOption{
		certtoken.WithAlgorithm(certtoken.PS256),
		certtoken.WithAudience(s.TokenURL()),
		certtoken.WithAssertionType("JWT"),
		certtoken.WithLifetime(5 * time.Minute),
	}
	return certtoken.Issuer(s.Issuer(), s.TokenURL(), append(dialect, opts...)...)
}

// genericOptions are those by which a client's assertion is what the server wants, where
// the defaults aren't.
func (s *Server) genericOptions() (opts []certtoken.AuthorityOption) {
	if s.endpoint.cfg.urlAudience {
		opts = append(opts, certtoken.WithAudience(s.TokenURL()))
	}
	if types := s.endpoint.cfg.types; len(types) > 0 && !slices.Contains(types, "client-authentication+jwt") {
		opts = append(opts, certtoken.WithAssertionType(types[0]))
	}
	return opts
}
