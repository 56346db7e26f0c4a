package proof

import (
	"crypto/x509"
	"time"
)

// Owner is which of a client's two objects in Entra ID has a certificate. The token
// endpoint takes those of both.
type Owner int

// The owners.
const (
	Application Owner = iota
	ServicePrincipal
)

// Credential is a registered certificate. The same certificate may be registered more
// than once, each time with an ID of its own.
type Credential struct {
	ID    string
	Name  string
	Owner Owner
	Cert  *x509.Certificate

	// Known reports whether the token endpoint has heard of the certificate; nil: it has.
	Known func(now time.Time) bool
}
