package certtokentest

import (
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// dialect is what a kind of server wants of a request and how it answers.
type dialect struct {
	rules          proof.Rules // without the audiences, which the request decides
	profile        grants.Profile
	issuerAudience bool                      // the audience is the issuer, not the URL
	looseAudience  bool                      // it may be the URL too, and a list
	defaultScope   bool                      // the scope is {resource}/.default
	resource       bool                      // the form names the resource, as before there were scopes
	tenants        bool                      // the path names one
	reuse          bool                      // an assertion may come again in another request
	keepRefresh    bool                      // a refresh token may come again
	newRefresh     bool                      // a refresh token brings the next one
	aadsts         bool                      // errors are Entra ID's
	tlsAuth        bool                      // the certificate in TLS alone proves a client (RFC 8705 §2)
	dpop           bool                      // a DPoP proof binds the token (RFC 9449)
	repeats        bool                      // resource and audience may be there several times (RFC 8707 §2)
	words          map[refusal.Reason]string // that the server has for a reason
}

// entraHeaders are the header parameters that Entra ID takes. It refuses others,
// such as jku and cty, whatever they say.
var entraHeaders = []string{"alg", "typ", "kid", "x5t", "x5t#S256", "x5c"}

func (c *config) entraDialect() *dialect {
	return &dialect{
		rules: proof.Rules{
			Algorithms: c.algorithms,
			Types:      c.types,
			Headers:    entraHeaders,
			RSA:        true,
			NeedName:   true,
			Times:      c.times,
		},
		profile:      grants.EntraV2,
		defaultScope: true,
		tenants:      true,
		reuse:        true,
		keepRefresh:  true,
		newRefresh:   !c.keepRefresh,
		aadsts:       true,
	}
}

// entraV1Dialect is Entra ID's older endpoint, to which ADAL speaks.
func (c *config) entraV1Dialect() *dialect {
	d := c.entraDialect()
	d.defaultScope, d.resource, d.profile = false, true, grants.EntraV1
	return d
}

// adfsDialect takes what Active Directory Federation Services takes: RSA and RS256. In
// which words the real one refuses others isn't known; it is invalid_client here.
func (c *config) adfsDialect() *dialect {
	return &dialect{
		rules: proof.Rules{
			Algorithms: []string{"RS256"},
			Types:      []string{"JWT"},
			RSA:        true,
			NeedName:   true,
			Times:      c.times,
		},
		profile:     grants.ADFS,
		keepRefresh: c.keepRefresh,
		newRefresh:  !c.keepRefresh,
	}
}

func (c *config) genericDialect() *dialect {
	return &dialect{
		rules: proof.Rules{
			Algorithms:    c.algorithms,
			Types:         c.types,
			KeyID:         c.keyID,
			JWKSURL:       c.jwksURL,
			AudienceLists: c.looseAudience,
			Times:         c.times,
		},
		profile:        grants.RFC9068,
		issuerAudience: !c.urlAudience,
		looseAudience:  c.looseAudience,
		keepRefresh:    c.keepRefresh,
		newRefresh:     !c.keepRefresh,
		tlsAuth:        true,
		dpop:           true,
		repeats:        true,
		words:          c.words,
	}
}
