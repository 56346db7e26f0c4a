package interop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/certtoken/certtoken"
)

const zitadelLifetime = time.Hour

// zitadelServer is an authorization server of zitadel/oidc's op package.
func zitadelServer(t *testing.T) *judge {
	t.Helper()
	server := &zitadel{clients: make(map[string]registration), sets: make(map[string]keySet)}
	own := newTLSCertificate(t)
	server.http = own.client(t)
	url, client := serve(t, func(url string) http.Handler {
		server.verifier = op.NewJWTProfileVerifier(server, url, time.Hour, 0)
		return op.RegisterServer(server, op.Endpoints{Token: op.NewEndpoint("/token")})
	})
	return &judge{
		name:     "zitadel/oidc " + moduleVersion(t, "github.com/zitadel/oidc/v3"),
		issuer:   url,
		tokenURL: url + "/token",
		http:     client,
		// Those of its verifier, for which it has no setting.
		algorithms:    []certtoken.Algorithm{certtoken.RS256, certtoken.PS256},
		curves:        []certtoken.Algorithm{certtoken.ES256},
		needsKeyID:    true,
		ownPaths:      true,
		allowsReplays: true,
		register:      func(_ *testing.T, r registration) { server.register(r) },
		registerSet:   func(_ *testing.T, r keySet) error { server.registerSet(r); return nil },
		publish:       own.serve,
	}
}

// zitadel fills in what the op package leaves to its user: where clients and
// keys are kept, and which token is granted. Everything about assertions, and
// the answers, is the package's.
type zitadel struct {
	op.UnimplementedServer
	verifier *op.JWTProfileVerifier
	http     *http.Client

	mu      sync.Mutex
	clients map[string]registration
	sets    map[string]keySet // of clients that are known by one
}

func (z *zitadel) register(r registration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.clients[r.id] = r
}

func (z *zitadel) registerSet(r keySet) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.clients[r.id] = registration{id: r.id}
	z.sets[r.id] = r
}

// GetKeyByIDAndClientID implements op.JWTProfileKeyStorage.
func (z *zitadel) GetKeyByIDAndClientID(ctx context.Context, keyID, clientID string) (*jose.JSONWebKey, error) {
	z.mu.Lock()
	keys, set := z.clients[clientID].keys, z.sets[clientID]
	z.mu.Unlock()
	for _, k := range keys {
		if k.id == keyID {
			return &jose.JSONWebKey{Key: k.public(), KeyID: k.id, Use: "sig"}, nil
		}
	}
	if set.id != "" {
		return z.keyOfSet(ctx, set, keyID)
	}
	return nil, errors.New("key not found")
}

// keyOfSet reads a set by go-jose, as zitadel/oidc does everywhere.
func (z *zitadel) keyOfSet(ctx context.Context, set keySet, keyID string) (*jose.JSONWebKey, error) {
	data := set.set
	if set.url != "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, set.url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := z.http.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if data, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	if found := keys.Key(keyID); len(found) == 1 {
		return &found[0], nil
	}
	return nil, errors.New("key not found")
}

// VerifyClient implements op.Server.
func (z *zitadel) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	assertion, err := op.VerifyJWTAssertion(ctx, r.Data.ClientAssertion, z.verifier)
	if err != nil {
		return nil, oidc.ErrInvalidClient().WithDescription("%s", err.Error()).WithParent(err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	registered, ok := z.clients[assertion.Issuer]
	if !ok || r.Data.ClientID != "" && r.Data.ClientID != assertion.Issuer {
		return nil, oidc.ErrInvalidClient()
	}
	return &zitadelClient{registration: registered}, nil
}

// ClientCredentialsExchange implements op.Server.
func (z *zitadel) ClientCredentialsExchange(
	_ context.Context,
	r *op.ClientRequest[oidc.ClientCredentialsRequest],
) (*op.Response, error) {
	var granted []string
	for _, s := range r.Data.Scope {
		if !r.Client.IsScopeAllowed(s) {
			return nil, oidc.ErrInvalidScope().WithDescription("scope %q is not allowed", s)
		}
		granted = append(granted, s)
	}
	lifetime := zitadelLifetime
	if own := r.Client.(*zitadelClient).lifetime; own > 0 {
		lifetime = own
	}
	return op.NewResponse(&oidc.AccessTokenResponse{
		AccessToken: rand.Text(),
		TokenType:   oidc.BearerToken,
		ExpiresIn:   uint64(lifetime.Seconds()),
		Scope:       granted,
	}), nil
}

// zitadelClient is a client that may do nothing but get tokens for itself.
type zitadelClient struct {
	op.Client // nil: what isn't overridden here isn't asked
	registration
}

func (c *zitadelClient) GetID() string               { return c.id }
func (c *zitadelClient) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodPrivateKeyJWT }
func (c *zitadelClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (c *zitadelClient) IsScopeAllowed(s string) bool {
	return slices.Contains([]string{scope, otherScope}, s)
}
