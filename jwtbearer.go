package certtoken

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/certtoken/certtoken/internal/redact"
)

// JWTBearer asks for a token for the assertion's Subject, a user or a service account, by
// an assertion that the client signs with its own key (RFC 7523 §2.1). Salesforce, DocuSign
// and Google know it. The request also has the client's own proof, unless the authority has
// [WithoutClientAuthentication], as these three want it.
//
// What the assertion leaves empty is as the authority wants it of a client assertion, with
// ClientID the client's id and Audience the authority's. Only Type is JWT by default. The
// audience need not be a URL. A scope goes into Claims, where the server reads it there.
// The assertion is signed anew for each request and follows the server's clock as others
// do. It has no secret: Box, which also wants its client_secret, is not supported.
//
// The token is cached by everything in the assertion, within [WithUserCacheLimit], and
// renewed as any other. Claims are copied, by way of JSON. A client without a key
// ([NewFederatedClient]) can't use this grant.
func JWTBearer(assertion Assertion) Grant {
	text, err := json.Marshal(assertion) // sorted by its names, so that the same claims give the same text
	if err != nil {
		err = fmt.Errorf("the claims can't be written as JSON: %w", redact.Error(err))
	} else if len(text) > maxGrantText {
		err = fmt.Errorf("the claims have more than %d bytes", maxGrantText)
	} else {
		err = errors.Join(copyClaims(&assertion), assertion.probe())
	}
	return newGrant(grantParams{
		name: "JWTBearer", kind: kindSigned, form: url.Values{"grant_type": {grantBearer}},
		user: userOf("JWTBearer", string(text)), signed: &assertion, err: err,
	})
}

// copyClaims gives an assertion claims of its own, which the caller can't change. Numbers
// stay as they are written.
func copyClaims(a *Assertion) error {
	if a.Claims == nil {
		return nil
	}
	text, err := json.Marshal(a.Claims)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	a.Claims = nil
	return decoder.Decode(&a.Claims)
}

// probe reports what is wrong with an assertion whose ClientID and Audience the authority
// may fill in.
func (a Assertion) probe() error {
	a.ClientID, a.Audience = cmp.Or(a.ClientID, "probe"), cmp.Or(a.Audience, "probe")
	return a.withDefaults().validate()
}

// BearerAssertion asks for a token by an assertion that somebody else signed for this
// server (RFC 7523 §2.1), such as the ID-JAG that an identity provider issued by
// [TokenExchange]. It is sent as it is, so it must name this server as its audience.
//
// The token is cached by the assertion's SHA-256, and renewed when a caller comes with the
// same assertion, as with [OnBehalfOf]. For Entra ID the grant is OnBehalfOf.
func BearerAssertion(assertion string) Grant {
	return newGrant(grantParams{
		name: "BearerAssertion", kind: kindAssertion,
		form: url.Values{"grant_type": {grantBearer}, "assertion": {assertion}},
		user: userOf("BearerAssertion", assertion),
		err:  checkSecret("the assertion", assertion),
	})
}

// WithoutClientAuthentication sends no client assertion and no client_id: the assertion of
// [JWTBearer] or [BearerAssertion] is all that proves who asks. It is for servers that
// want nothing beside it. Requests with another grant are an error.
func WithoutClientAuthentication() AuthorityOption {
	return func(a *Authority) { a.grantOnly = true }
}

// grantAssertion completes the assertion of a grant with what this authority wants of a
// client assertion. Its type stays, because that of a client assertion says what it is for.
func (a Authority) grantAssertion(g Assertion, clientID string, cert *Certificate) (Assertion, error) {
	if g.Algorithm != "" {
		a.assertion.Algorithm = g.Algorithm
	}
	own, err := a.assertionFor(clientID, cert)
	if err != nil {
		return g, err
	}
	g.ClientID = cmp.Or(g.ClientID, own.ClientID)
	g.Audience = cmp.Or(g.Audience, own.Audience)
	g.Algorithm = own.Algorithm
	g.Lifetime, g.Backdate = cmp.Or(g.Lifetime, own.Lifetime), cmp.Or(g.Backdate, own.Backdate)
	g.Thumbprint = cmp.Or(g.Thumbprint, own.Thumbprint)
	g.KeyID = cmp.Or(g.KeyID, own.KeyID)
	g.SendChain = g.SendChain || own.SendChain
	return g, nil
}
