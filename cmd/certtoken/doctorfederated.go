package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/certtoken/certtoken/internal/azureenv"
)

// assertionClaims are the claims of a platform's token that a federated credential names,
// and its times.
type assertionClaims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  audienceList `json:"aud"`
	NotBefore float64      `json:"nbf"` // seconds since 1970; 0: not there
	Expires   float64      `json:"exp"`
}

// checkAssertion checks what can be checked of the platform's token without a server,
// and reports whether the token can be sent. The claims are only shown: its signature is
// the server's to verify.
func (l *checklist) checkAssertion(ctx context.Context, t *target) bool {
	assertion, err := certtoken.AssertionFile(t.env.assertionFile).Assertion(ctx, "")
	var claims assertionClaims
	if err == nil {
		claims, err = readAssertionClaims(assertion)
	}
	if err != nil {
		l.fail(checkFile, err)
		l.skip(checkFederation, "needs the file")
		l.skip(checkValidity, "needs the file")
		return false
	}
	l.ok(checkFile, "%s, an assertion of the platform's ($%s)", t.env.assertionFile, azureenv.FederatedFile)
	l.checkFederation(claims)
	return l.checkAssertionValidity(claims, time.Now())
}

func readAssertionClaims(assertion string) (assertionClaims, error) {
	var claims assertionClaims
	parts, err := jwt.Split(assertion)
	if err == nil && json.Unmarshal(parts.Claims, &claims) != nil {
		err = errors.New("the assertion's claims can't be read")
	}
	return claims, err
}

// checkFederation shows what a federated credential of the app must have.
func (l *checklist) checkFederation(claims assertionClaims) {
	var absent []string
	if claims.Issuer == "" {
		absent = append(absent, "iss")
	}
	if claims.Subject == "" {
		absent = append(absent, "sub")
	}
	if len(claims.Audience) == 0 {
		absent = append(absent, "aud")
	}
	if len(absent) > 0 {
		l.add(check{checkFederation, outcomeFailed, "the assertion has no " + strings.Join(absent, ", no "),
			"Entra ID compares these with a federated credential of the app: have the platform put them in."})
		return
	}
	l.ok(checkFederation, "issuer %s, subject %s, audience %s: a federated credential of the app must have these",
		claims.Issuer, claims.Subject, strings.Join(claims.Audience, ", "))
}

// checkAssertionValidity reports whether the times of the platform's token allow its use.
func (l *checklist) checkAssertionValidity(claims assertionClaims, now time.Time) bool {
	from, until := timeOf(claims.NotBefore), timeOf(claims.Expires)
	c := check{Name: checkValidity, Status: outcomeOK}
	switch {
	case claims.Expires == 0:
		c.Status = outcomeFailed
		c.Detail = "the assertion has no end (exp)"
		c.Advice = "Entra ID refuses it: have the platform limit it."
	case !now.Before(until):
		c.Status = outcomeFailed
		c.Detail = "ended on " + times.Local(until, now)
		c.Advice = "The platform replaces the file before the assertion ends: find out why it no longer does, or " +
			"set the clock of this machine."
	case claims.NotBefore != 0 && now.Before(from):
		c.Status = outcomeFailed
		c.Detail = "valid from " + times.Local(from, now)
		c.Advice = "Set the clock of this machine, or wait."
	default:
		c.Detail = "until " + times.Local(until, now)
	}
	l.add(c)
	return c.Status == outcomeOK
}

func timeOf(seconds float64) time.Time { return time.Unix(int64(seconds), 0) }
