package certtokentest

import (
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// LikeKeycloak makes a server of [WithIssuer] take and refuse client assertions as
// Keycloak does by default: it refuses one that was issued over 60 s ago or is ahead,
// with 15 s for drift, and an invalid client with status 400. It takes the URL of the
// token endpoint as audience too, and an exp that is a day ahead. Its answers have no
// Date. Options after it change details.
func LikeKeycloak() Option {
	return together(
		WithLeeway(15*time.Second),
		WithTimeLimits(TimeLimits{MaxAge: time.Minute}),
		WithRefusalForm(RefusalBadRequest),
		WithLooseAudience(),
		WithoutDate(),
	)
}

// LikeBetterAuth makes a server of [WithIssuer] take and refuse client assertions as
// Better Auth does by default: it refuses one that ends over 300 s ahead, or was
// issued over 300 s ago. Options after it change details.
func LikeBetterAuth() Option {
	return WithTimeLimits(TimeLimits{MaxAge: 5 * time.Minute, MaxLife: 5 * time.Minute})
}

// LikeGlewlwyd makes a server of [WithIssuer] take and refuse client assertions as
// Glewlwyd does: it bounds how far ahead one may end, here to 600 s, and answers
// refusals with an empty 403. Options after it change details.
func LikeGlewlwyd() Option {
	return together(
		WithTimeLimits(TimeLimits{MaxLife: 10 * time.Minute}),
		WithRefusalForm(RefusalEmpty),
	)
}

// LikeFAPI2 makes a server of [WithIssuer] take and refuse client assertions as FAPI 2.0
// demands (Security Profile §5.3.2.1 and §5.4): PS256, ES256 or EdDSA, an audience that
// is the issuer, as one string, an nbf and iat at most 10 s ahead, and each assertion
// once. It says nothing of how far ahead an assertion may end, and grants tokens that are
// bound to no key all the same: add [WithDPoP] and DPoPRules.Required. Options after it
// change details.
func LikeFAPI2() Option {
	return together(
		WithAlgorithms(certtoken.PS256, certtoken.ES256, certtoken.EdDSA),
		WithLeeway(10*time.Second),
		strictAudience(false),
	)
}

// LikeSMART makes a server of [WithIssuer] take and refuse client assertions as SMART
// Backend Services demands of the servers of health records: RS384 or ES384, typ JWT, a
// kid that is registered, a jku, if there is one, that is the registered URL of the
// client's keys, an audience that is the URL of the token endpoint, an end at most five
// minutes ahead, and each assertion once. Its tokens are valid for five minutes.
// Register clients by [Server.RegisterJWKS] or [Server.RegisterJWKSURI]. Options after it
// change details.
func LikeSMART() Option {
	return together(
		WithAlgorithms(certtoken.RS384, certtoken.ES384),
		WithAssertionTypes("JWT"),
		WithTimeLimits(TimeLimits{MaxLife: 5 * time.Minute}),
		WithTokenLifetime(5*time.Minute),
		strictAudience(true),
		func(c *config) { c.keyID, c.jwksURL = proof.KeyIDMandatory, true },
	)
}

// LikeOkta makes a server of [WithIssuer] take and refuse client assertions as Okta does:
// RS256 to RS512 and ES256 to ES512, an audience that is the URL of the token endpoint,
// an end at most an hour ahead, to the second, and a kid where the client has several
// keys. What Okta demands of new service apps beside it is
// WithDPoP(DPoPRules{Required: true, Nonces: true}). Options after it change details.
func LikeOkta() Option {
	words := map[refusal.Reason]string{
		refusal.UnknownKey: "The client_assertion JWT kid is invalid.",
		refusal.FarEnd:     "The client_assertion token has an expiration too far into the future.",
	}
	return together(
		WithAlgorithms(certtoken.RS256, certtoken.RS384, certtoken.RS512, certtoken.ES256, certtoken.ES384,
			certtoken.ES512),
		WithTimeLimits(TimeLimits{MaxLife: time.Hour - DefaultLeeway}),
		strictAudience(true),
		func(c *config) { c.keyID, c.words = proof.KeyIDOfSeveral, words },
	)
}

// LikeAuth0 makes a server of [WithIssuer] take and refuse client assertions as Auth0
// does: RS256, RS384 or PS256, an audience that is the issuer, which ends with a slash
// there, an end at most five minutes ahead, and each assertion once. Options after it
// change details.
func LikeAuth0() Option {
	return together(
		WithAlgorithms(certtoken.RS256, certtoken.RS384, certtoken.PS256),
		WithTimeLimits(TimeLimits{MaxLife: 5 * time.Minute}),
		strictAudience(false),
		func(c *config) { c.slash = true },
	)
}

// strictAudience wants the URL of the token endpoint or the issuer, as one string.
func strictAudience(url bool) Option {
	return func(c *config) { c.urlAudience, c.looseAudience = url, false }
}

func together(opts ...Option) Option {
	return func(c *config) {
		for _, opt := range opts {
			opt(c)
		}
	}
}
