package spiffe_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
	"github.com/certtoken/certtoken/internal/secrettest"
)

// No verb, log or encoder shows an SVID; X509Source's key is looked for by TestCertSource.
func TestSourcesShowNoSVID(t *testing.T) {
	agent := spiffetest.New(t, app)
	jwts, x509 := newJWTSource(t, agent, spiffe.WithID(appID)), newX509Source(t, agent, spiffe.WithHint("x"))
	assertion := assertionOf(t, jwts, audience)
	_, err := x509.Certificate(t.Context())
	require.Error(t, err)
	text := secrettest.Printed(jwts) + secrettest.Printed(x509)
	assert.False(t, secrettest.ShowsPart(text, assertion), "a part of the assertion")
	assert.False(t, secrettest.BeginsJWT(text), "the beginning of a JWT")
	assert.Equal(t, "spiffe.JWTSource("+agent.Address()+", the ID "+appID+")", jwts.String())
	assert.Equal(t, "spiffe.X509Source("+agent.Address()+`, the hint "x")`, fmt.Sprintf("%#v", x509))
}
