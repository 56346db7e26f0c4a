package spiffetest

import (
	"time"

	"github.com/certtoken/certtoken/certtokentest"
)

// Identity is one that the agent has for every process that asks.
type Identity struct {
	ID   string                // such as spiffe://example.org/my-app
	Hint string                // "": none
	Kind certtokentest.KeyKind // of its X.509-SVID; the zero value is RSA

	X509Lifetime time.Duration // 0: an hour
	JWTLifetime  time.Duration // 0: 5 minutes
	JWTIssuer    string        // iss of its JWT-SVIDs, as by SPIRE's jwt_issuer; "": none
}
