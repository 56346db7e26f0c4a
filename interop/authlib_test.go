package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// pythons are looked through for one that has Authlib: the one that users chose,
// and the system's, to which packages of the system belong.
var pythons = []string{"python3", "/usr/bin/python3"}

// authlibPython is a Python with Authlib and Flask.
func authlibPython() (string, error) {
	var errs []error
	for _, python := range pythons {
		err := exec.Command(python, "-c", "import authlib, flask").Run()
		if err == nil {
			return python, nil
		}
		errs = append(errs, fmt.Errorf("%s with authlib and flask: %w", python, err))
	}
	return "", errors.Join(errs...)
}

// lacksAuthlib returns what is missing for Authlib.
func lacksAuthlib() error {
	_, err := authlibPython()
	return err
}

// authlibServer starts an authorization server of Authlib, Python's library,
// under Flask. It ends with the test.
func authlibServer(t *testing.T) *judge {
	t.Helper()
	python, err := authlibPython()
	require.NoError(t, err)
	tlsCert := newTLSCertificate(t)
	server := startProgram(t, "authlib", python, "authlib_server.py")
	var ready struct {
		Issuer   string `json:"issuer"`
		TokenURL string `json:"tokenURL"`
	}
	server.ask(t, map[string]string{"key": tlsCert.keyPEM, "cert": tlsCert.certPEM}, &ready)
	return &judge{
		name:         "Authlib of Debian", // without its version, so that the tables hold for several
		issuer:       ready.Issuer,
		tokenURL:     ready.TokenURL,
		http:         tlsCert.client(t),
		ownPaths:     true,
		endpointOnly: true,
		needsKeyID:   true,
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
			certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA,
		},
		registerSet: func(t *testing.T, r keySet) error {
			t.Helper()
			var done struct{ Registered string }
			server.ask(t, map[string]any{"id": r.id, "jwks": json.RawMessage(r.set)}, &done)
			require.Equal(t, r.id, done.Registered)
			return nil
		},
	}
}
