package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

// The program as it is, with an agent, a token endpoint and an API on this machine.
func TestRun(t *testing.T) {
	const id, clientID = "spiffe://example.org/my-app", "my-app"
	agent := spiffetest.New(t, spiffetest.Identity{ID: id, Kind: certtokentest.P256})
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", agent.Address())
	srv := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	require.NoError(t, srv.TrustSPIFFE(clientID, id, agent.Bundle()))
	srv.Handle("/things", srv.Resource("read", nil))
	s := settings{issuer: srv.Issuer(), clientID: clientID, scope: "read", api: srv.URL() + "/things"}
	for name, change := range map[string]func(*settings){
		"a JWT-SVID":    func(*settings) {},
		"by its ID":     func(s *settings) { s.id = id },
		"an X.509-SVID": func(s *settings) { s.x509 = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := s
			change(&s)
			var out strings.Builder
			require.NoError(t, run(t.Context(), s, srv.Client(), &out))
			assert.Contains(t, out.String(), `"client_id":"my-app"`)
		})
	}

	other := s
	other.id = "spiffe://example.org/other"
	for _, other.x509 = range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, run(ctx, other, srv.Client(), &strings.Builder{}), context.DeadlineExceeded)
	}
	t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
	for _, other.x509 = range []bool{false, true} {
		assert.ErrorContains(t, run(t.Context(), other, srv.Client(), &strings.Builder{}), "SPIFFE_ENDPOINT_SOCKET")
	}
}
