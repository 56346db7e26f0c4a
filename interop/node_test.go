package interop

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// oidcProvider starts npm's oidc-provider, in its FAPI 2.0 profile or with
// everything that it has. It ends with the test.
func oidcProvider(t *testing.T, profile string) *judge {
	t.Helper()
	require.NoError(t, nodeServers())
	tlsCert := newTLSCertificate(t)
	server := startNode(t)

	var ready struct {
		Issuer   string `json:"issuer"`
		TokenURL string `json:"tokenURL"`
	}
	config := map[string]string{"profile": profile, "key": tlsCert.keyPEM, "cert": tlsCert.certPEM}
	if profile == "plain" {
		trusted, err := trustedClients()
		require.NoError(t, err)
		config["ca"] = trusted
	}
	server.ask(t, config, &ready)
	j := &judge{
		name:     "oidc-provider " + serverVersion(t, "oidc-provider"),
		issuer:   ready.Issuer,
		tokenURL: ready.TokenURL,
		http:     tlsCert.client(t),
		algorithms: []certtoken.Algorithm{
			certtoken.RS256,
			certtoken.RS384,
			certtoken.RS512,
			certtoken.PS256,
			certtoken.PS384,
			certtoken.PS512,
		},
		register: func(t *testing.T, r registration) {
			t.Helper()
			var done struct{ Registered string }
			server.ask(t, map[string]any{"id": r.id, "lifetime": r.lifetime.Seconds(), "jwks": r.jwks()}, &done)
			require.Equal(t, r.id, done.Registered)
		},
		curves: []certtoken.Algorithm{
			certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA, certtoken.Ed25519,
		},
		registerSet: func(t *testing.T, r keySet) error {
			t.Helper()
			var done struct{ Registered string }
			question := map[string]any{"id": r.id}
			if r.url != "" {
				question["jwksURI"] = r.url
			} else {
				question["jwks"] = json.RawMessage(r.set)
			}
			server.ask(t, question, &done)
			require.Equal(t, r.id, done.Registered)
			return nil
		},
		publish: tlsCert.serve,
	}
	j.registerBound = func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool {
		t.Helper()
		client := map[string]any{"id": id, "jwks": json.RawMessage(printedWithCertificate(t, cert)),
			"dpop":  b == boundToKey,
			"bound": b != boundToKey,
		}
		switch b {
		case byCA:
			client = map[string]any{"id": id, "method": "tls_client_auth", "subject": boundSubject, "bound": true}
		case bySelf:
			client["method"] = "self_signed_tls_client_auth"
		}
		var done struct{ Registered string }
		server.ask(t, client, &done)
		require.Equal(t, id, done.Registered)
		return true
	}
	if profile == "fapi" {
		j.name += ", FAPI 2.0"
		j.fapiOnly = true
		j.algorithms = []certtoken.Algorithm{certtoken.PS256}
		j.curves = []certtoken.Algorithm{certtoken.ES256, certtoken.EdDSA, certtoken.Ed25519}
		own := newCertificate(t, "tls client")
		j.http.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{{
			Certificate: [][]byte{own.Leaf.Raw}, PrivateKey: own.Signer, Leaf: own.Leaf,
		}}
		j.bindsTokens = own.Leaf
	}
	return j
}

// nodeServers has npm install what the servers of the folder server need, once.
var nodeServers = sync.OnceValue(func() error { return npmPackages("server") })

// serverVersion is that of the lock file, which is what runs.
func serverVersion(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("server", "package-lock.json"))
	require.NoError(t, err)
	var lock struct {
		Packages map[string]struct{ Version, Resolved string }
	}
	require.NoError(t, json.Unmarshal(data, &lock))
	for name, p := range lock.Packages {
		require.Empty(t, p.Resolved, "%s: the lock file must hold no download addresses", name)
	}
	return lock.Packages["node_modules/"+name].Version
}

func startNode(t *testing.T) *program {
	return startProgram(t, "oidc-provider", "node", "provider.mjs")
}
