package certtokentest

import (
	"net/http"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
)

// UserToken returns an access token of a user for the API that the client is:
// what its callers bring, and what it shows to act on their behalf. It is valid
// as long as other tokens of the server ([Server.SetLifetime]).
func (s *Server) UserToken(user, clientID string) string {
	e := s.endpoint
	t := &grants.Token{
		ClientID:  ids.StableUUID("app", "certtokentest"), // of the app that the user signed in to
		User:      user,
		Audiences: []string{clientID},
		Scopes:    []string{"access_as_user"},
		Expires:   e.now().Add(max(e.tuned().lifetime.Truncate(time.Second), 0)),
	}
	issuance := grants.Issuance{Profile: grants.RFC9068, Issuer: s.Issuer(), Now: e.now(), Size: e.cfg.tokenSize}
	if !e.cfg.generic {
		issuance.Profile, issuance.Tenant = grants.EntraV2, tenant.ID(e.cfg.tenant())
	}
	token := issuance.Sign(t)
	e.tokens.Add(token, t)
	return token
}

// CodeRequest is a user's sign-in, as the authorization endpoint would have
// seen it.
type CodeRequest struct {
	ClientID      string
	User          string
	RedirectURI   string   // must come again with the code
	CodeChallenge string   // of PKCE, by S256 (RFC 7636 §4.2); "" for none
	Nonce         string   // comes again in the ID token; "" for none
	Scopes        []string // offline_access brings a refresh token, openid an ID token
}

// AuthorizationCode returns a code that the client can redeem once, within ten
// minutes.
func (s *Server) AuthorizationCode(r CodeRequest) string {
	return s.endpoint.codes.New(grants.Code{
		ClientID:      r.ClientID,
		User:          r.User,
		RedirectURI:   r.RedirectURI,
		CodeChallenge: r.CodeChallenge,
		Nonce:         r.Nonce,
		Scopes:        r.Scopes,
	}, s.endpoint.now())
}

// Federation trusts the tokens that another client of this server is granted
// for [ExchangeAudience] in the tenant that [Server.Authority] names.
func (s *Server) Federation(clientID string) Federation {
	return Federation{s.Issuer(), grants.SubjectOf(clientID), ExchangeAudience, grants.SharedKey().Public()}
}

// Revoke makes every [Server.Resource] refuse the token from now on.
func (s *Server) Revoke(token string) { s.endpoint.tokens.Revoke(token) }

// RevokeAll revokes every token granted so far.
func (s *Server) RevokeAll() { s.endpoint.tokens.RevokeAll() }

// Resource returns an API. It answers a request by next if that brings a valid token of this
// server for the audience, with the certificate or the DPoP proof that the token is bound to.
// The audience is for Entra ID the resource, which is the scope without /.default, and
// elsewhere one of the scopes or resources. Every other request gets 401 with
// WWW-Authenticate. Without next, the answer is a JSON object that names the
// client, and the user if there is one. [Server.Handle] puts it on this server;
// any other can serve it too.
func (s *Server) Resource(audience string, next http.Handler) *Resource {
	return newResource(s.endpoint, s.URL(), audience, next)
}

// UserID is the id of a user in Entra ID, by which a request can name them.
func UserID(user string) string { return grants.SubjectOf(user) }
