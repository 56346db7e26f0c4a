package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
)

// checkExchange asks for a token. The certificate is nil where the platform's token is the
// assertion. It needs what the checks before it found to be missing, if that isn't "".
func (l *checklist) checkExchange(
	ctx context.Context, t *target, cert *certtoken.Certificate, needs string,
) *certtoken.Token {
	if needs != "" {
		l.skip(checkExchange, "needs %s", needs)
		return nil
	}
	if len(t.scopes) == 0 && t.entra {
		t.scopes = []string{graphScope(t.origin)}
	}
	client, err := t.client(cert)
	if err != nil {
		l.fail(checkExchange, err)
		return nil
	}
	defer client.Close()
	ctx, cancel := t.limited(ctx)
	defer cancel()
	done := l.console.Waiting("asking for a token")
	begin := time.Now()
	token, err := t.acquire(ctx, client)
	done()
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

// checkMetadata finds the token endpoint, if the server's metadata must name it. It reports
// whether the endpoint is known.
func (l *checklist) checkMetadata(ctx context.Context, t *target, connected bool) bool {
	switch {
	case t.discovery == nil:
		return true
	case !connected:
		l.skip(checkMetadata, "need a connection")
		return false
	}
	issuer := t.discovery.issuer
	ctx, cancel := t.limited(ctx)
	defer cancel()
	done := l.console.Waiting("asking for the server's metadata")
	err := t.locate(ctx)
	done()
	if err != nil {
		l.fail(checkMetadata, err)
		return false
	}
	l.ok(checkMetadata, "those of %s name its token endpoint", issuer)
	return true
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
	case t.bound && claims.isUnbound():
		c.Status = outcomeWarning
		c.Advice = unboundText
	case granted != strings.Join(strings.Fields(strings.Join(t.scopes, " ")), " "):
		c.Status = outcomeWarning
		c.Advice = fmt.Sprintf("The server granted %q, which isn't what was asked for.", granted)
	case t.entra && claims.readable && len(claims.Roles) == 0:
		c.Advice = "It has no roles. If the resource answers 403, the app lacks an application permission, " +
			"or an administrator's consent to it."
	case len(claims.Roles) > 0:
		c.Detail += ", roles " + strings.Join(claims.Roles, ", ")
	}
	l.add(c)
}
