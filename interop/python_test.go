package interop

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	authlibVersion = "1.9.10"
	idpyVersion    = "5.0.0"
)

var (
	// theAuthlib is Authlib's newest; Debian's is another judge.
	theAuthlib = &sharedProgram{name: "Authlib", command: func() ([]string, error) {
		python, err := pythonWith("authlib=="+authlibVersion, "flask==3.1.3")
		return []string{python, "authlib_server.py"}, err
	}}
	// theIdpy is an authorization server of idpy-oidc.
	theIdpy = &sharedProgram{name: "idpy-oidc", command: func() ([]string, error) {
		python, err := pythonWith("idpyoidc==" + idpyVersion)
		return []string{python, "idpy_server.py"}, err
	}}
)

// authlibJudge is Authlib's newest, which joserfc's defaults let take few algorithms.
func authlibJudge(t *testing.T) *judge {
	t.Helper()
	j := pythonJudge(t, theAuthlib, authlibVersion)
	j.algorithms = []certtoken.Algorithm{certtoken.RS256}
	j.curves = []certtoken.Algorithm{certtoken.ES256}
	return j
}

func idpyJudge(t *testing.T) *judge {
	t.Helper()
	j := pythonJudge(t, theIdpy, idpyVersion)
	j.algorithms = []certtoken.Algorithm{
		certtoken.RS256, certtoken.RS384, certtoken.RS512,
		certtoken.PS256, certtoken.PS384, certtoken.PS512,
	}
	j.curves = []certtoken.Algorithm{
		certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA, certtoken.Ed25519,
	}
	j.publish = theIdpy.tls.serve
	j.endpointOnly, j.oddTokenType, j.oneLifetime, j.allScopes = true, true, true, true
	return j
}

// pythonJudge has what both servers have.
func pythonJudge(t *testing.T, s *sharedProgram, version string) *judge {
	t.Helper()
	j := s.judge(t, s.name+" "+version)
	j.ownPaths = true
	j.register = func(t *testing.T, r registration) {
		t.Helper()
		require.NoError(t, s.register(t, map[string]any{
			"id": r.id, "lifetime": r.lifetime.Seconds(), "jwks": r.jwks(),
		}))
	}
	j.registerSet = func(t *testing.T, r keySet) error {
		t.Helper()
		client := map[string]any{"id": r.id}
		if r.url != "" {
			client["jwksURI"] = r.url
		} else {
			client["jwks"] = json.RawMessage(r.set)
		}
		return s.register(t, client)
	}
	return j
}
