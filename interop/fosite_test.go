package interop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// fositeServer is an authorization server of ory/fosite, the library of Ory Hydra.
func fositeServer(t *testing.T) *judge {
	t.Helper()
	var store *fositeStore
	own := newTLSCertificate(t)
	fetcher := retryablehttp.NewClient()
	fetcher.HTTPClient, fetcher.Logger = own.client(t), nil
	url, client := serve(t, func(url string) http.Handler {
		secret := make([]byte, 32)
		rand.Read(secret)
		config := &fosite.Config{
			GlobalSecret:  secret,
			TokenURL:      url + "/token",
			ScopeStrategy: fosite.ExactScopeStrategy,
			// Without this, what is wrong with an assertion stays on the server.
			SendDebugMessagesToClients: true,
			JWKSFetcherStrategy:        fosite.NewDefaultJWKSFetcherStrategy(fosite.JWKSFetcherWithHTTPClient(fetcher)),
			// Fosite sets what is missing while it serves, which is a data race.
			AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
		}
		config.ClientSecretsHasher = &fosite.BCrypt{Config: config}
		store = &fositeStore{MemoryStore: storage.NewMemoryStore()}
		provider := compose.Compose(
			config,
			store,
			compose.NewOAuth2HMACStrategy(config),
			compose.OAuth2ClientCredentialsGrantFactory,
		)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			request, err := provider.NewAccessRequest(ctx, r, new(fosite.DefaultSession))
			if err != nil {
				provider.WriteAccessError(ctx, w, request, err)
				return
			}
			for _, s := range request.GetRequestedScopes() {
				request.GrantScope(s)
			}
			response, err := provider.NewAccessResponse(ctx, request)
			if err != nil {
				provider.WriteAccessError(ctx, w, request, err)
				return
			}
			provider.WriteAccessResponse(ctx, w, request, response)
		})
		return mux
	})
	return &judge{
		name:         "ory/fosite " + moduleVersion(t, "github.com/ory/fosite"),
		issuer:       url,
		tokenURL:     url + "/token",
		http:         client,
		ownPaths:     true,
		endpointOnly: true,
		algorithms: []certtoken.Algorithm{
			certtoken.RS256,
			certtoken.RS384,
			certtoken.RS512,
			certtoken.PS256,
			certtoken.PS384,
			certtoken.PS512,
		},
		register: func(_ *testing.T, r registration) { store.register(r) },
		curves:   []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512},
		registerSet: func(t *testing.T, r keySet) error {
			t.Helper()
			client := &fosite.DefaultOpenIDConnectClient{JSONWebKeysURI: r.url}
			if r.url == "" {
				require.NoError(t, json.Unmarshal(r.set, &client.JSONWebKeys))
			}
			store.add(r.id, r.algorithm, 0, client)
			return nil
		},
		publish: own.serve,
	}
}

// fositeStore is fosite's own store in memory, in which clients may change
// while it is in use.
type fositeStore struct {
	*storage.MemoryStore
	mu sync.RWMutex
}

func (s *fositeStore) register(r registration) {
	keys := &jose.JSONWebKeySet{}
	for _, k := range r.keys {
		keys.Keys = append(keys.Keys, jose.JSONWebKey{Key: k.public(), KeyID: k.id, Use: "sig"})
	}
	s.add(r.id, r.algorithm, r.lifetime, &fosite.DefaultOpenIDConnectClient{JSONWebKeys: keys})
}

// add adds a client that has its keys already.
func (s *fositeStore) add(
	id string,
	alg certtoken.Algorithm,
	lifetime time.Duration,
	client *fosite.DefaultOpenIDConnectClient,
) {
	client.DefaultClient = &fosite.DefaultClient{
		ID:         id,
		GrantTypes: []string{"client_credentials"},
		Scopes:     []string{scope, otherScope},
	}
	client.TokenEndpointAuthMethod = "private_key_jwt"
	client.TokenEndpointAuthSigningAlgorithm = string(alg)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Clients[id] = &fositeClient{DefaultOpenIDConnectClient: client, lifetime: lifetime}
}

func (s *fositeStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.MemoryStore.GetClient(ctx, id)
}

// fositeClient has tokens of a lifetime of its own.
type fositeClient struct {
	*fosite.DefaultOpenIDConnectClient
	lifetime time.Duration
}

func (c *fositeClient) GetEffectiveLifespan(
	_ fosite.GrantType,
	_ fosite.TokenType,
	fallback time.Duration,
) time.Duration {
	if c.lifetime > 0 {
		return c.lifetime
	}
	return fallback
}
