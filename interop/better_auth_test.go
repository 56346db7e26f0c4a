package interop

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// theBetterAuth is npm's better-auth with its OAuth provider.
var theBetterAuth = &sharedProgram{name: "Better Auth", command: func() ([]string, error) {
	return []string{"node", "better_auth.mjs"}, nodeServers()
}}

// betterAuthJudge is the server with clients that an administrator made.
func betterAuthJudge(t *testing.T) *judge {
	t.Helper()
	j := theBetterAuth.judge(t, "Better Auth "+serverVersion(t, "better-auth"))
	j.algorithms = []certtoken.Algorithm{
		certtoken.RS256, certtoken.RS384, certtoken.RS512,
		certtoken.PS256, certtoken.PS384, certtoken.PS512,
	}
	j.curves = []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA}
	j.publish = theBetterAuth.tls.serve
	j.refusesLoopback = true
	j.oneLifetime = true
	j.register = func(t *testing.T, r registration) {
		t.Helper()
		require.NoError(t, theBetterAuth.register(t, map[string]any{"id": r.id, "jwks": r.jwks()}))
	}
	j.registerBound = func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool {
		t.Helper()
		if b != boundToKey {
			return false
		}
		set := json.RawMessage(printedWithCertificate(t, cert))
		require.NoError(t, theBetterAuth.register(t, map[string]any{"id": id, "jwks": set, "dpop": true}))
		return true
	}
	j.registerSet = func(t *testing.T, r keySet) error {
		t.Helper()
		client := map[string]any{"id": r.id}
		if r.url != "" {
			client["jwksURI"] = r.url
		} else {
			client["jwks"] = json.RawMessage(r.set)
		}
		return theBetterAuth.register(t, client)
	}
	return j
}
