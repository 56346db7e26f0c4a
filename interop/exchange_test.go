package interop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/certtoken/certtoken"
)

const tokenTypes = "urn:ietf:params:oauth:token-type:"

// exchanger is what zitadel/oidc leaves to its user of token exchange: keys, clients and what
// is allowed. It reads the tokens and issues them by itself.
type exchanger struct {
	op.Storage // nil: what isn't overridden here isn't asked
	client     registration
	key        *rsa.PrivateKey
	requests   atomic.Int32
	provider   *op.Provider
}

// newExchanger starts a server whose client may exchange tokens.
func newExchanger(t *testing.T, client registration) (e *exchanger, issuer string, hc *http.Client) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	e = &exchanger{client: client, key: key}
	issuer, hc = serve(t, func(url string) http.Handler {
		config := &op.Config{AuthMethodPrivateKeyJWT: true, CodeMethodS256: true}
		_, err := rand.Read(config.CryptoKey[:])
		require.NoError(t, err)
		e.provider, err = op.NewProvider(config, e, op.StaticIssuer(url))
		require.NoError(t, err)
		return op.RegisterLegacyServer(op.NewLegacyServer(e.provider, *op.DefaultEndpoints), http.NotFound)
	})
	return e, issuer, hc
}

// tokenOf is an access token of a user or a service that signed in.
func (e *exchanger) tokenOf(t *testing.T, subject string) string {
	t.Helper()
	token, err := op.CreateBearerToken(rand.Text(), subject, e.provider.Crypto())
	require.NoError(t, err)
	return token
}

func (e *exchanger) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != e.client.id {
		return nil, errors.New("unknown client")
	}
	return &exchangingClient{zitadelClient{registration: e.client}}, nil
}

func (e *exchanger) GetKeyByIDAndClientID(_ context.Context, keyID, _ string) (*jose.JSONWebKey, error) {
	for _, k := range e.client.keys {
		if k.id == keyID {
			return &jose.JSONWebKey{Key: k.public(), KeyID: k.id, Use: "sig"}, nil
		}
	}
	return nil, errors.New("key not found")
}

// ValidateTokenExchangeRequest implements op.TokenExchangeStorage.
func (e *exchanger) ValidateTokenExchangeRequest(_ context.Context, r op.TokenExchangeRequest) error {
	for _, audience := range r.GetAudience() {
		if audience == "https://forbidden.example" {
			return &oidc.Error{ErrorType: "invalid_target", Description: "not for this client"}
		}
	}
	if r.GetRequestedTokenType() == "" {
		r.SetRequestedTokenType(oidc.AccessTokenType)
	}
	return nil
}

func (e *exchanger) CreateTokenExchangeRequest(context.Context, op.TokenExchangeRequest) error {
	e.requests.Add(1)
	return nil
}

// GetPrivateClaimsFromTokenExchangeRequest puts into the token what the server understood.
func (e *exchanger) GetPrivateClaimsFromTokenExchangeRequest(
	_ context.Context, r op.TokenExchangeRequest,
) (map[string]any, error) {
	claims := map[string]any{"resources": r.GetResourses()}
	if actor := r.GetExchangeActor(); actor != "" {
		claims["act"] = map[string]any{"sub": actor}
	}
	return claims, nil
}

func (e *exchanger) SetUserinfoFromTokenExchangeRequest(
	_ context.Context, info *oidc.UserInfo, r op.TokenExchangeRequest,
) error {
	info.Subject = r.GetSubject()
	return nil
}

func (e *exchanger) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().Add(time.Hour), nil
}

func (e *exchanger) SigningKey(context.Context) (op.SigningKey, error) { return signingKey{e.key}, nil }
func (e *exchanger) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{publicKey{e.key}}, nil }
func (e *exchanger) Health(context.Context) error                      { return nil }

type signingKey struct{ key *rsa.PrivateKey }

func (signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                  { return k.key }
func (signingKey) ID() string                                  { return "server" }

type publicKey struct{ key *rsa.PrivateKey }

func (publicKey) ID() string                         { return "server" }
func (publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                         { return k.key.Public() }

// exchangingClient may exchange tokens, and gets JWTs.
type exchangingClient struct{ zitadelClient }

func (*exchangingClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeTokenExchange}
}
func (*exchangingClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (*exchangingClient) IDTokenLifetime() time.Duration      { return time.Hour }
func (*exchangingClient) ClockSkew() time.Duration            { return 0 }
func (*exchangingClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (*exchangingClient) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (*exchangingClient) IDTokenUserinfoClaimsAssertion() bool { return false }

// Token exchange (RFC 8693) at zitadel/oidc, with all that the standard's request has.
func TestTokenExchange(t *testing.T) {
	cert := newCertificate(t, "exchange")
	e, issuer, hc := newExchanger(t, registration{id: "exchange", keys: []key{keyOf(cert)}})
	client, err := certtoken.NewClient(
		certtoken.Issuer(issuer, issuer+op.DefaultEndpoints.Token.Relative(), certtoken.WithKeyIDFunc(keyID)),
		"exchange", cert, certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer client.Close()
	subject := e.tokenOf(t, "ada")
	exchange := certtoken.TokenExchange(subject, "access_token")

	t.Run("audiences and resources", func(t *testing.T) {
		req := certtoken.Request{Scopes: []string{scope}, Grant: exchange, Parameters: url.Values{
			"audience": {"https://orders.example", "https://billing.example"},
			"resource": {"https://orders.example/v1", "https://orders.example/v2"},
		}}
		token, err := client.Acquire(t.Context(), req)
		require.NoError(t, err)
		claims := jwtClaims(t, token.AccessToken())
		assert.Equal(t, "ada", claims["sub"])
		assert.Subset(t, claims["aud"], []any{"https://orders.example", "https://billing.example"})
		assert.Equal(t, []any{"https://orders.example/v1", "https://orders.example/v2"}, claims["resources"])
		assert.Equal(t, "Bearer", token.Type())
		assert.Equal(t, tokenTypes+"access_token", token.Extra("issued_token_type"))
		before := e.requests.Load()
		again, err := client.Acquire(t.Context(), req)
		require.NoError(t, err)
		assert.Same(t, token, again)
		assert.Equal(t, before, e.requests.Load(), "from the cache")

		// What was issued is itself a token that can be exchanged.
		next, err := client.Acquire(t.Context(), certtoken.Request{
			Grant: certtoken.TokenExchange(token.AccessToken(), "access_token"),
		})
		require.NoError(t, err)
		assert.Equal(t, "ada", jwtClaims(t, next.AccessToken())["sub"])
	})
	t.Run("an actor", func(t *testing.T) {
		token, err := client.Acquire(t.Context(), certtoken.Request{
			Grant: exchange.WithActor(e.tokenOf(t, "the support desk"), "access_token"),
		})
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"sub": "the support desk"}, jwtClaims(t, token.AccessToken())["act"])
		plain, err := client.Acquire(t.Context(), certtoken.Request{Grant: exchange})
		require.NoError(t, err)
		assert.NotContains(t, jwtClaims(t, plain.AccessToken()), "act", "cached apart")
	})
	t.Run("an ID token", func(t *testing.T) {
		token, err := client.Acquire(t.Context(), certtoken.Request{
			Grant: exchange, Parameters: url.Values{"requested_token_type": {tokenTypes + "id_token"}},
		})
		require.NoError(t, err)
		assert.Equal(t, "N_A", token.Type(), "it is no access token")
		assert.Equal(t, "ada", jwtClaims(t, token.AccessToken())["sub"])
	})
	for name, c := range map[string]struct {
		grant      certtoken.Grant
		parameters url.Values
		code       string
	}{
		"nobody's token": {certtoken.TokenExchange("somebody-made-this", "access_token"), nil, "invalid_request"},
		"another type":   {certtoken.TokenExchange(subject, "id_token"), nil, "invalid_request"},
		"unknown type":   {certtoken.TokenExchange(subject, "urn:example:none"), nil, "invalid_request"},
		"bad actor":      {exchange.WithActor("nobody", "access_token"), nil, "invalid_request"},
		"not allowed": {
			exchange, url.Values{"audience": {"https://forbidden.example"}}, "invalid_target",
		},
		"type that it can't issue": {
			exchange, url.Values{"requested_token_type": {tokenTypes + "saml2"}}, "invalid_request",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Acquire(t.Context(), certtoken.Request{Grant: c.grant, Parameters: c.parameters})
			var refused *certtoken.TokenError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, c.code, refused.Code)
			assert.NotContains(t, err.Error(), subject)
		})
	}
}
