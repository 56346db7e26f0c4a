package certtokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/golang-jwt/jwt/v5"
)

// ExchangeAudience is whom an assertion from elsewhere must be for in Entra ID.
const ExchangeAudience = "api://AzureADTokenExchange"

// Federation is a federated credential: whose assertions prove a client that
// has no certificate of its own. All four must match, letter by letter.
type Federation struct {
	Issuer   string
	Subject  string
	Audience string
	Key      crypto.PublicKey // of the issuer: RSA, EC or Ed25519
}

// IdentityProvider signs assertions as a Kubernetes cluster or a CI system does.
type IdentityProvider struct {
	issuer string
	key    *ecdsa.PrivateKey
}

// NewIdentityProvider makes one with a new key.
func NewIdentityProvider(issuer string) *IdentityProvider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("certtokentest: " + err.Error()) // crypto/rand never fails
	}
	return &IdentityProvider{issuer, key}
}

// Federation trusts the provider's assertions for a subject.
func (p *IdentityProvider) Federation(subject, audience string) Federation {
	return Federation{p.issuer, subject, audience, p.key.Public()}
}

// Assertion signs one that is valid from now on.
func (p *IdentityProvider) Assertion(subject, audience string, validity time.Duration) string {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": p.issuer, "sub": subject, "aud": []string{audience}, "jti": ids.UUID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(validity).Unix(),
	})
	token.Header["kid"] = "provider"
	signed, err := token.SignedString(p.key)
	if err != nil {
		panic("certtokentest: " + err.Error()) // a key that was just made
	}
	return signed
}
