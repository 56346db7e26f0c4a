package spiffe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

// No verb, log or encoder shows an SVID; X509Source's key is looked for by TestCertSource.
func TestSourcesShowNoSVID(t *testing.T) {
	agent := spiffetest.New(t, app)
	jwts, x509 := newJWTSource(t, agent, spiffe.WithID(appID)), newX509Source(t, agent, spiffe.WithHint("x"))
	assertion := assertionOf(t, jwts, audience)
	_, err := x509.Certificate(t.Context())
	require.Error(t, err)
	values := []any{jwts, x509, struct{ s *spiffe.JWTSource }{jwts}, struct{ s *spiffe.X509Source }{x509}}
	var all bytes.Buffer
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&all, verb+"\n", value)
		}
		slog.New(slog.NewTextHandler(&all, nil)).Info("source", "is", value)
		slog.New(slog.NewJSONHandler(&all, nil)).Info("source", "is", value)
		_ = json.NewEncoder(&all).Encode(value)
	}
	assert.NotContains(t, all.String(), assertion)
	assert.NotRegexp(t, `eyJ[\w-]+\.`, all.String())
	assert.Equal(t, "spiffe.JWTSource("+agent.Address()+", the ID "+appID+")", jwts.String())
	assert.Equal(t, "spiffe.X509Source("+agent.Address()+`, the hint "x")`, fmt.Sprintf("%#v", x509))
}
