package main

import (
	"encoding/json"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
)

// tokenClaims are the claims of an access token that help to find a mistake.
type tokenClaims struct {
	readable bool
	Audience audienceList `json:"aud"`
	Roles    []string     `json:"roles"`
	Bound    struct {
		Certificate string `json:"x5t#S256"`
	} `json:"cnf"` // RFC 8705 §3.1
}

// isUnbound reports whether a token can be read, and is bound to no certificate.
func (c *tokenClaims) isUnbound() bool { return c.readable && c.Bound.Certificate == "" }

// unboundText is for a token that --bound or --mtls asked for.
const unboundText = "The server did not bind the token to the certificate: it has no cnf claim, so anybody who has " +
	"it can use it."

// audienceList is one string or several (RFC 7519 §4.1.3).
type audienceList []string

// UnmarshalJSON takes either form.
func (a *audienceList) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audienceList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

func claimsOf(token *certtoken.Token) tokenClaims {
	var claims tokenClaims
	parts, err := jwt.Split(token.AccessToken())
	if err != nil {
		return claims // opaque
	}
	claims.readable = json.Unmarshal(parts.Claims, &claims) == nil
	return claims
}
