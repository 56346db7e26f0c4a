package main

import (
	"time"

	"github.com/certtoken/certtoken"
)

// bearer is the type of a token that is of use without any proof (RFC 6750).
const bearer = "Bearer"

// notAccess is the type of what a token exchange issued that is no access token (RFC 8693
// §2.2.1).
const notAccess = "N_A"

// issuedToken is an access token from anywhere: a server, the agent or the cache.
type issuedToken struct {
	reveal    func() string // the secret, which no printing verb shows
	typ       string
	scopes    []string
	expiresAt time.Time
	proof     string // for one request, "": none is needed
}

func newIssuedToken(t *certtoken.Token) *issuedToken {
	return &issuedToken{reveal: t.AccessToken, typ: t.Type(), scopes: t.Scopes(), expiresAt: t.ExpiresAt()}
}
