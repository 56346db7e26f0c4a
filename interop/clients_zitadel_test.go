package interop

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken/certtokentest"
)

func zitadelRP(s *stage) user {
	return &inProcess{client: s.server.Client(), make: newZitadel}
}

// newZitadel is zitadel/oidc's relying party with a key. It signs for the code and the
// refresh token by itself; for the other grants its callers hand it the assertion.
func newZitadel(t *testing.T, s setup, hc *http.Client) map[string]func(context.Context, job) (string, error) {
	relyingParty := func(ctx context.Context, j job) (rp.RelyingParty, error) {
		return rp.NewRelyingPartyOIDC(ctx, s.Authority, s.ClientID, "", j.RedirectURI, []string{j.Scope},
			rp.WithHTTPClient(hc), rp.WithJWTProfile(rp.SignerFromKeyAndKeyID([]byte(s.Key), s.KeyID)),
			rp.WithAuthStyle(oauth2.AuthStyleInParams)) // else it tries an Authorization header first
	}
	assertion := func(party rp.RelyingParty) (string, error) {
		return client.SignedJWTProfileAssertion(s.ClientID, []string{s.Authority}, time.Hour, party.Signer())
	}
	var refreshToken string
	return map[string]func(context.Context, job) (string, error){
		"token": func(ctx context.Context, j job) (string, error) {
			party, err := relyingParty(ctx, j)
			if err != nil {
				return "", err
			}
			signed, err := assertion(party)
			if err != nil {
				return "", err
			}
			token, err := rp.ClientCredentials(ctx, party, url.Values{
				"client_assertion": {signed}, "client_assertion_type": {oidc.ClientAssertionTypeJWTAssertion},
			})
			if err != nil {
				return "", err
			}
			return token.AccessToken, nil
		},
		"code": func(ctx context.Context, j job) (string, error) {
			j.Scope = "openid offline_access " + j.Scope
			party, err := relyingParty(ctx, j)
			if err != nil {
				return "", err
			}
			code, err := follow(ctx, hc, rp.AuthURL("state", party))
			if err != nil {
				return "", err
			}
			signed, err := assertion(party)
			if err != nil {
				return "", err
			}
			tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, code, party, rp.WithClientAssertionJWT(signed))
			if err != nil {
				return "", err
			}
			refreshToken = tokens.RefreshToken
			return tokens.AccessToken, nil
		},
		"refresh": func(ctx context.Context, j job) (string, error) {
			party, err := relyingParty(ctx, j)
			if err != nil {
				return "", err
			}
			tokens, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, refreshToken, "", "")
			if err != nil {
				return "", err
			}
			return tokens.AccessToken, nil
		},
	}
}

// zitadel/oidc's JWT profile signs a grant for the service user itself (RFC 7523 §2.1).
func TestJWTProfileOfZitadel(t *testing.T) {
	t.Parallel()
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""), certtokentest.WithGrantOnly(),
		certtokentest.WithLooseAudience()) // its audience is a list
	cert := newCertificate(t, "client")
	server.RegisterKeyID("robot", "key", cert.Leaf)
	server.AllowUsers("robot", "robot")
	source, err := profile.NewJWTProfileTokenSource(t.Context(), server.Issuer(), "robot", "key",
		privatePEM(t, cert), []string{"read"}, profile.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	token, err := source.TokenCtx(t.Context())
	require.NoError(t, err)
	last := server.LastRequest()
	require.Equal(t, last.AccessToken, token.AccessToken)
	require.Equal(t, "urn:ietf:params:oauth:grant-type:jwt-bearer", last.Form.Get("grant_type"))
	require.Equal(t, "Bearer", token.TokenType)
}
