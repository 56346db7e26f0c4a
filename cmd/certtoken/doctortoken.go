package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
)

// checkExchange asks for a token.
func (l *checklist) checkExchange(
	ctx context.Context, t *target, cert *certtoken.Certificate, connected bool,
) *certtoken.Token {
	switch {
	case cert == nil:
		l.skip(checkExchange, "needs a certificate that can sign")
		return nil
	case !connected:
		l.skip(checkExchange, "needs a connection")
		return nil
	}
	if len(t.scopes) == 0 && t.entra {
		t.scopes = []string{"https://graph.microsoft.com/.default"}
	}
	client, err := t.client(cert)
	if err != nil {
		l.fail(checkExchange, err)
		return nil
	}
	defer client.Close()
	begin := time.Now()
	token, err := t.acquire(ctx, client)
	var refused *certtoken.TokenError
	switch {
	case errors.As(err, &refused):
		l.add(check{checkExchange, outcomeFailed, refusal(refused), adviceText(err)})
		return nil
	case err != nil:
		l.fail(checkExchange, err)
		return nil
	}
	l.ok(checkExchange, "token granted in %v", time.Since(begin).Round(time.Millisecond))
	return token
}

// refusal puts the server's refusal into one line.
func refusal(e *certtoken.TokenError) string {
	text := strings.TrimSpace(fmt.Sprintf("refused: %d %s", e.StatusCode, e.Code))
	description, _, _ := strings.Cut(e.Description, " Trace ID:") // which Entra ID appends
	for _, code := range e.AADSTS {
		name := fmt.Sprintf("AADSTS%d", code)
		if !strings.Contains(description, name) {
			text += ", " + name
		}
	}
	if description != "" {
		text += ": " + description
	}
	if e.CorrelationID != "" {
		text += " (correlation id " + e.CorrelationID + ")"
	}
	return text
}

// checkToken shows what is in the token. The claims are only shown, never relied
// on: they are meant for the resource.
func (l *checklist) checkToken(t *target, token *certtoken.Token) {
	if token == nil {
		l.skip(checkToken, "needs the exchange")
		return
	}
	claims := claimsOf(token)
	c := check{Name: checkToken, Status: outcomeOK}
	left := time.Until(token.ExpiresAt()).Round(time.Second)
	c.Detail = fmt.Sprintf("%s token, valid for %s", token.Type(), times.Span(left))
	if len(claims.Audience) > 0 {
		c.Detail += ", audience " + strings.Join(claims.Audience, ", ")
	}
	granted := strings.Join(token.Scopes(), " ")
	switch {
	case granted != strings.Join(strings.Fields(strings.Join(t.scopes, " ")), " "):
		c.Advice = fmt.Sprintf("The server granted %q, which isn't what was asked for.", granted)
	case t.entra && claims.readable && len(claims.Roles) == 0:
		c.Advice = "It has no roles. If the resource answers 403, the app lacks an application permission, " +
			"or an administrator's consent to it."
	case len(claims.Roles) > 0:
		c.Detail += ", roles " + strings.Join(claims.Roles, ", ")
	}
	l.add(c)
}

// tokenClaims are the claims of an access token that help to find a mistake.
type tokenClaims struct {
	readable bool
	Audience audienceList `json:"aud"`
	Roles    []string     `json:"roles"`
}

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
