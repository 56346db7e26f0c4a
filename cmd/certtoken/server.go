package main

import (
	"net/url"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// serverFlags say which server is asked for a token.
type serverFlags struct {
	tenant    string
	authority string
	tokenURL  string
}

// server is the server that the flags name.
type server struct {
	authority  func(...certtoken.AuthorityOption) certtoken.Authority
	dialect    []certtoken.AuthorityOption // the flags' options come after these and win
	entra      bool
	onBehalfOf bool // users' tokens are exchanged by Microsoft's grant, not by RFC 8693
	needTenant bool
	origin     string
	issuer     string // whose metadata name the endpoint; "": it is known
}

// withoutUser is what to do about user:password@ in a URL.
const withoutUser = "Leave out what stands before the @: the application proves who it is with its certificate."

func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// handshake is the option by which the certificate stands in the TLS handshake (RFC 8705):
// with --mtls it proves who the client is, instead of an assertion; with --bound the token
// is bound to it, beside an assertion. Entra ID has one form for both.
func (s *server) handshake(flag string) (certtoken.AuthorityOption, error) {
	switch {
	case s.needTenant:
		return certtoken.WithMTLSPoP(), nil
	case s.entra:
		return nil, failure.Usagef("--%s of Entra ID has an endpoint of its own: it excludes --token-url", flag)
	case flag == flagBound:
		return certtoken.WithCertificateBoundTokens(), nil
	}
	return certtoken.WithTLSClientAuth(), nil
}
