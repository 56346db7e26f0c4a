package certtokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"time"

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
	Key      crypto.PublicKey // of the issuer; RSA, or ECDSA on P-256
}

// Federate adds a federated credential to a client.
func (s *Server) Federate(clientID string, f Federation) {
	s.clients.update(clientID, func(r *registration) {
		r.federations = append(slices.Clone(r.federations), f)
	})
}

// Federation trusts the tokens that another client of this server is granted
// for [ExchangeAudience] in the tenant that [Server.Authority] names.
func (s *Server) Federation(clientID string) Federation {
	key, err := sharedTokenKey()
	if err != nil {
		panic("certtokentest: " + err.Error()) // crypto/rand never fails
	}
	return Federation{s.Issuer(), stableUUID("oid", clientID), ExchangeAudience, key.key.Public()}
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
		"iss": p.issuer, "sub": subject, "aud": []string{audience}, "jti": newUUID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(validity).Unix(),
	})
	token.Header["kid"] = "provider"
	signed, err := token.SignedString(p.key)
	if err != nil {
		panic("certtokentest: " + err.Error()) // a key that was just made
	}
	return signed
}

// verifyFederated checks an assertion from elsewhere. It may come again: its
// issuer made it for longer than one request.
func (p *proof) verifyFederated(trusted []Federation) *refusal {
	if refused := p.parse(); refused != nil {
		return refused
	}
	iss, _ := p.claims["iss"].(string)
	sub, _ := p.claims["sub"].(string)
	aud, _ := p.claims.GetAudience()
	var found *Federation
	issuerKnown, subjectKnown := false, false
	for _, f := range trusted {
		issuerKnown = issuerKnown || f.Issuer == iss
		subjectKnown = subjectKnown || f.Issuer == iss && f.Subject == sub
		if f.Issuer == iss && f.Subject == sub && slices.Contains(aud, f.Audience) {
			found = &f
		}
	}
	switch {
	case !issuerKnown:
		return refuse(700211, "No matching federated identity record found for presented assertion issuer '%s'.", iss)
	case !subjectKnown:
		return refuse(700213, "No matching federated identity record found for presented assertion subject '%s'.", sub)
	case found == nil:
		return refuse(700212, "No matching federated identity record found for presented assertion audience '%v'.", aud)
	case !signedBy(p.raw, p.header, found.Key):
		return refuse(700027, "Client assertion failed signature validation. [Reason - The key was found, but the signature is not valid.]")
	}
	return p.checkTimes()
}

// signedBy verifies a JWT whose algorithm must fit the key.
func signedBy(raw string, header map[string]any, key crypto.PublicKey) bool {
	methods := []string{"RS256", "PS256"}
	if _, ok := key.(*rsa.PublicKey); !ok {
		methods = []string{"ES256"}
	}
	alg, _ := header["alg"].(string)
	if !slices.Contains(methods, alg) {
		return false
	}
	_, err := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods(methods)).
		Parse(raw, func(*jwt.Token) (any, error) { return key, nil })
	return err == nil
}
