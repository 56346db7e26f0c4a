package proof

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// signer finds the key that verifies the signature: a registered one, or that of a
// certificate that the client's subject-name/issuer trust covers. A set behind a URL is
// fetched again for a key that isn't in it.
func (c *Client) signer(
	ctx context.Context, a *Assertion, r *Rules, clientID string, now time.Time,
) (keyset.Key, *refusal.Refusal) {
	keys, err := c.registered(ctx, false, now)
	if err != nil {
		return keyset.Key{}, unreachable(err)
	}
	candidates := c.candidates(a, r.KeyID, keys)
	key, refused := a.verify(candidates)
	if unknown := len(candidates) == 0 || !a.namesKey(); refused != nil && unknown && c.keys != nil {
		if keys, err = c.registered(ctx, true, now); err != nil {
			return keyset.Key{}, unreachable(err)
		}
		candidates = c.candidates(a, r.KeyID, keys)
		key, refused = a.verify(candidates)
	}
	if len(candidates) > 0 {
		return key, refused
	}
	if len(c.trusted()) > 0 {
		leaf, refused := c.trustedLeaf(a, r, now)
		if refused != nil {
			return keyset.Key{}, refused
		}
		return a.verify([]keyset.Key{*leaf})
	}
	return keyset.Key{}, c.unknownKey(a, keys, clientID)
}

func unreachable(err error) *refusal.Refusal {
	return refusal.New(0, "The client's JSON Web Key Set can't be had: %v.", err).
		As("invalid_client", http.StatusUnauthorized)
}

// unknownKey is the refusal of an assertion by a key that isn't registered.
func (c *Client) unknownKey(a *Assertion, keys []keyset.Key, clientID string) *refusal.Refusal {
	registered := strings.Join(namesOf(keys), ", ")
	refused := refusal.New(700027, "The certificate with identifier used to sign the client assertion is not "+
		"registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s', "+
		"registered: '%s'. Please visit the Azure Portal and check the registered certificates of app '%s'.]",
		a.keyName(), registered, clientID).Because(refusal.UnknownKey)
	kid, hasKeyID := a.Header["kid"].(string)
	switch {
	case c.keys == nil:
		return refused.Plainly("The certificate that signed the assertion is not registered for this client: "+
			"the assertion names '%s', registered are '%s'.", a.keyName(), registered)
	case hasKeyID:
		return refused.Plainly("The JSON Web Token uses signing key with kid '%s', which could not be found in the "+
			"client's JSON Web Key Set: registered are '%s'.", kid, registered)
	case a.namesKey():
		return refused.Plainly("The key that signed the assertion is not in the client's JSON Web Key Set: "+
			"the assertion names '%s', registered are '%s'.", a.keyName(), registered)
	}
	return refused.Plainly("The JSON Web Token has no kid to choose one of the client's keys by: registered are '%s'.",
		registered)
}

// trustedLeaf verifies x5c against the client's trusts. The header's thumbprint
// must be the leaf's.
func (c *Client) trustedLeaf(a *Assertion, r *Rules, now time.Time) (*keyset.Key, *refusal.Refusal) {
	if a.Header["x5c"] == nil {
		return nil, refusal.New(700027, "The certificate used to sign the client assertion is not registered on "+
			"application, and no x5c was sent.").
			Plainly("The certificate that signed the assertion is not registered for this client, and no x5c was sent, " +
				"nor a certificate in TLS in the assertion's place.")
	}
	chain, err := parseX5C(a.Header["x5c"])
	if err != nil {
		return nil, refusal.New(700027, "The certificate used to sign the client assertion is not registered on "+
			"application, and x5c can't be used: %v.", err).
			Plainly("The certificate that signed the assertion is not registered for this client, "+
				"and x5c can't be used: %v.", err)
	}
	leaf := keysOf(chain[:1])
	if len(c.candidates(a, r.KeyID, leaf)) == 0 {
		return nil, refusal.New(
			700027,
			"Client assertion's x5c holds another certificate than its thumbprint names: '%s'.",
			a.keyName(),
		)
	}
	if refused := c.checkTrusted(chain, now, "x5c"); refused != nil {
		return nil, refused
	}
	return &leaf[0], nil
}
