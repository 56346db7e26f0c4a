package spiffe_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

const clientID = "my-app"

// trusting is a token endpoint that trusts the agent's trust domain for the app.
func trusting(t *testing.T, agent *spiffetest.Agent) *certtokentest.Server {
	t.Helper()
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	require.NoError(t, server.TrustSPIFFE(clientID, appID, agent.Bundle()))
	return server
}

// An X.509-SVID gets tokens: by its signature with the chain beside it, and in TLS. After a
// rotation the new one does.
func TestTokenByX509SVID(t *testing.T) {
	for _, kind := range []certtokentest.KeyKind{certtokentest.RSA, certtokentest.P256} {
		for way, opt := range map[string]certtoken.AuthorityOption{
			"x5c": certtoken.WithX5C(), "TLS": certtoken.WithTLSClientAuth(),
		} {
			t.Run(kind.String()+" "+way, func(t *testing.T) {
				agent := spiffetest.New(t, spiffetest.Identity{ID: appID, Kind: kind})
				server := trusting(t, agent)
				source := newX509Source(t, agent)
				client, err := certtoken.NewClient(server.Authority(opt), clientID, source,
					certtoken.WithHTTPClient(server.Client()))
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, client.Close()) })
				_, err = client.Token(t.Context(), "first")
				require.NoError(t, err)
				before := certificate(t, source)
				agent.Rotate()
				require.Eventually(t, func() bool { return certificate(t, source) != before }, soon, tick)
				_, err = client.Token(t.Context(), "second")
				require.NoError(t, err)
				assert.True(t, server.LastRequest().Certificate.Equal(certificate(t, source).Leaf))
			})
		}
	}
}

// A JWT-SVID gets tokens, as jwt-spiffe and at Entra ID as a federated credential.
func TestTokenByJWTSVID(t *testing.T) {
	const oidc = "https://oidc.example.org"
	agent := spiffetest.New(t, spiffetest.Identity{ID: appID, Kind: certtokentest.P256, JWTIssuer: oidc})
	entra := certtokentest.New()
	entra.Federate(clientID, certtokentest.Federation{
		Issuer: oidc, Subject: appID, Audience: certtokentest.ExchangeAudience, Key: agent.JWTKey(),
	})
	for name, c := range map[string]struct {
		server *certtokentest.Server
		scopes []string
		opts   []spiffe.Option
	}{
		"jwt-spiffe": {trusting(t, agent), []string{"read", "write"}, []spiffe.Option{spiffe.WithJWTSPIFFE()}},
		"Entra ID": {entra, []string{"https://graph.microsoft.com/.default", "https://vault.azure.net/.default"},
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := certtoken.NewFederatedClient(c.server.Authority(), clientID, newJWTSource(t, agent,
				c.opts...),
				certtoken.WithHTTPClient(c.server.Client()))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, client.Close()) })
			for _, scope := range c.scopes { // with the same SVID
				_, err := client.Token(t.Context(), scope)
				require.NoError(t, err)
			}
			sent := c.server.Requests()
			require.Len(t, sent, 2)
			assert.Equal(t, sent[0].Form.Get("client_assertion"), sent[1].Form.Get("client_assertion"))
		})
	}
}

// The client's error says what is wrong with the agent.
func TestTokenWithoutAgent(t *testing.T) {
	agent := spiffetest.New(t)
	server := trusting(t, agent)
	client, err := certtoken.NewFederatedClient(server.Authority(), clientID, newJWTSource(t, agent),
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	_, err = client.Token(t.Context(), "read")
	require.ErrorIs(t, err, spiffe.ErrNoIdentity)
	assert.ErrorContains(t, err, "register the process")
}
