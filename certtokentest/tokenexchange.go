package certtokentest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/golang-jwt/jwt/v5"
)

// Types of tokens (RFC 8693 §3, draft-ietf-oauth-identity-assertion-authz-grant).
const (
	typePrefix  = "urn:ietf:params:oauth:token-type:"
	typeAccess  = typePrefix + "access_token"
	typeJWT     = typePrefix + "jwt"
	typeID      = typePrefix + "id_token"
	typeRefresh = typePrefix + "refresh_token"
	typeJAG     = typePrefix + "id-jag"

	typeIDJAG = "oauth-id-jag+jwt" // the typ of an ID-JAG's header

	tokenNone = "N_A" // the token_type of what is no access token (RFC 8693 §2.2.1)
	jagLife   = 5 * time.Minute
)

// checkExchange checks both tokens and the type that is asked for. Refusals are
// invalid_request (RFC 8693 §2.2.2).
func (c *call) checkExchange() *refusal.Refusal {
	subject, refused := c.shownToken("subject_token")
	if refused != nil {
		return invalidRequest(refused)
	}
	c.user, c.subject = subject.User, subject.ClientID
	switch actor, actorType := c.form("actor_token"), c.form("actor_token_type"); {
	case actor == "" && actorType == "":
	case actor == "" || actorType == "":
		return invalidRequest(refusal.New(90023, "actor_token and actor_token_type come together or not at all."))
	default:
		by, refused := c.shownToken("actor_token")
		if refused != nil {
			return invalidRequest(refused)
		}
		c.actor = by.ClientID
		if by.User != "" {
			c.actor = grants.SubjectOf(by.User)
		}
	}
	return c.checkRequestedType()
}

// checkRequestedType decides what is issued.
func (c *call) checkRequestedType() *refusal.Refusal {
	c.issued = typeAccess
	switch requested := c.form("requested_token_type"); requested {
	case "", typeAccess:
	case typeJWT, typeID:
		c.issued = requested
	case typeJAG:
		c.issued = requested
		if shown := c.form("subject_token_type"); shown != typeID && shown != typeRefresh {
			return invalidRequest(refusal.New(90023, "An ID-JAG is issued for an ID token or a refresh token, not for '%s'.",
				shown))
		}
		if len(c.request.Form["audience"]) != 1 {
			return invalidRequest(refusal.New(90023, "An ID-JAG is for one audience, the issuer of the other server."))
		}
	default:
		return invalidRequest(refusal.New(90023, "The requested_token_type '%s' can't be issued.", requested))
	}
	if c.issued == typeID && c.user == "" {
		return invalidRequest(refusal.New(90023, "An ID token is a user's, and the subject token is of none."))
	}
	return nil
}

func invalidRequest(f *refusal.Refusal) *refusal.Refusal {
	return f.As("invalid_request", http.StatusBadRequest)
}

// shownToken finds what a token stands for that the client shows: one of this server's that
// was issued to the client or for it, and is in force.
func (c *call) shownToken(name string) (grants.Token, *refusal.Refusal) {
	token, typ := c.form(name), c.form(name+"_type")
	var t grants.Token
	var ok bool
	switch typ {
	case typeAccess, typeJWT:
		t, ok = c.endpoint.tokens.Find(token)
		ok = ok && !t.Revoked
	case typeID:
		t, ok = c.shownIDToken(token)
	case typeRefresh:
		var code *grants.Code
		if code, ok = c.endpoint.codes.Look(token, c.now); ok {
			t = grants.Token{ClientID: code.ClientID, User: code.User, Expires: c.now.Add(time.Hour)}
		}
	default:
		return t, refusal.New(90023, "The %s_type '%s' is not supported.", name, typ)
	}
	switch {
	case !ok:
		return t, refusal.New(90023, "The %s is not one of this server's that is in force.", name)
	case !c.now.Before(t.Expires):
		return t, refusal.New(90023, "The %s has expired.", name)
	case t.ClientID != c.request.ClientID && !slices.Contains(t.Audiences, c.request.ClientID):
		return t, refusal.New(90023, "The %s was neither issued to the client '%s' nor for it.", name, c.request.ClientID)
	}
	return t, nil
}

// shownIDToken verifies an ID token of this server. It names its client as its audience.
func (c *call) shownIDToken(token string) (t grants.Token, ok bool) {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(),
		jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(token, claims, ownKey)
	issuer, _ := claims["iss"].(string)
	audience, _ := claims["aud"].(string)
	user, _ := claims["preferred_username"].(string)
	exp, expErr := claims.GetExpirationTime()
	_, hasScope := claims["scope"] // an access token says what for; an ID token doesn't
	if err != nil || expErr != nil || exp == nil || hasScope || user == "" || issuer != c.endpoint.cfg.issuerOf(c.route) {
		return t, false
	}
	return grants.Token{ClientID: audience, User: user, Expires: exp.Time}, true
}

func ownKey(*jwt.Token) (any, error) { return grants.SharedKey().Public(), nil }

// exchangeFields says what was issued, and issues what is no access token.
func (c *call) exchangeFields(body map[string]any) {
	if c.issued == "" {
		return
	}
	body["issued_token_type"] = c.issued
	switch c.issued {
	case typeID:
		claims := c.idToken()
		claims["aud"] = c.audiences[0]
		body["access_token"], body["token_type"] = grants.SharedKey().Sign("JWT", claims), tokenNone
	case typeJAG:
		body["access_token"], body["token_type"] = grants.SharedKey().Sign(typeIDJAG, c.idJAG()), tokenNone
		c.putSeconds(body, "expires_in", jagLife)
	}
}

// idJAG are the claims of an identity assertion for another server.
func (c *call) idJAG() jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": c.endpoint.cfg.issuerOf(c.route), "sub": c.user, "aud": c.form("audience"),
		"client_id": c.request.ClientID, "jti": ids.UUID(), "iat": c.now.Unix(), "exp": c.now.Add(jagLife).Unix(),
	}
	if resource := c.request.Form["resource"]; len(resource) > 0 {
		claims["resource"] = resource
	}
	if len(c.scopes) > 0 {
		claims["scope"] = strings.Join(c.scopes, " ")
	}
	return claims
}
