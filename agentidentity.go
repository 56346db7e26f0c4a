package certtoken

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/syntax"
)

// AgentUser asks for a token with which an agent identity of Entra ID acts as a user of
// its own ([Request.Agent]). The user is named by the user principal name, or by the
// object id where it is a GUID. The token is cached by the user, the agent, the tenant and
// the scopes, within [WithUserCacheLimit], and renewed as any other.
func AgentUser(user string) Grant {
	form := url.Values{"grant_type": {"user_fic"}, "requested_token_use": {"on_behalf_of"}}
	name := "username"
	if syntax.IsGUID(user) {
		name = "user_id"
	}
	form.Set(name, user)
	return newGrant(grantParams{
		name: "AgentUser", kind: kindAgentUser, form: form, user: userOf("AgentUser", user),
		err: checkSecret("the user's name", user),
	})
}

// agentCredential proves that the client acts as an agent identity. The proof is a token
// that the client, the agent's blueprint, gets for the agent at the same tenant: the first
// leg. It is cached as other tokens are, and so is the agent's own token for the second
// leg of [AgentUser]. So an agent costs its legs once in their lifetime.
type agentCredential struct {
	agent, tenant string
	asUser        bool // the grant is AgentUser
	tokens        legTokens
}

// paramTokenType asks for tokens of another type. No request can give it, so it names, in the
// key of a first leg, one that is bound to the certificate while the client's own tokens
// aren't ([WithMTLSBearer]).
const paramTokenType = "token_type"

// isBoundLeg reports whether a key is that of such a leg.
func isBoundLeg(k *cache.Key) bool { return k.Parameters.Has(paramTokenType) }

// legTokens gets a token of the client's own from its cache, or through it. refused is a
// token that was refused, or nil.
type legTokens func(ctx context.Context, k cache.Key, refused *Token) (*Token, error)

// obtain gets the legs. If the certificate is replaced between two of them that are bound to
// it, both are got again: the first is then no longer in use.
func (k *agentCredential) obtain(ctx context.Context, authority Authority) (p proof, err error) {
	for range maxLegs {
		var together bool
		if p, together, err = k.obtainLegs(ctx, authority); err != nil || together {
			return p, err
		}
	}
	return p, nil
}

// maxLegs is how often the legs are got for one proof.
const maxLegs = 3

// obtainLegs gets the legs once. Where the first is bound to a certificate, the agent shows
// the same one. together reports whether it is that of the second leg, too.
func (k *agentCredential) obtainLegs(
	ctx context.Context, authority Authority,
) (p proof, together bool, err error) {
	first, err := k.leg(ctx, k.firstLeg(authority))
	if err != nil {
		return proof{}, false, fmt.Errorf("assertion for the agent %s: %w", k.agent, err)
	}
	p = proof{assertion: first.secret().access}
	if authority.presents() {
		p.kind, p.binding = assertionTypePoP, first.secret().user().binding
	}
	if !k.asUser {
		return p, true, nil
	}
	second, err := k.leg(ctx, k.secondLeg(authority))
	if err != nil {
		return proof{}, false, fmt.Errorf("token of the agent %s for its user: %w", k.agent, err)
	}
	p.agent = second.secret().access
	bound := second.secret().user().binding
	return p, bound == nil || bound == p.binding, nil
}

func (k *agentCredential) leg(ctx context.Context, key cache.Key) (*Token, error) {
	return k.tokens(ctx, key, nil)
}

// firstLeg is what the client's token for the agent is asked for with.
func (k *agentCredential) firstLeg(authority Authority) cache.Key {
	key := cache.Key{
		Tenant: k.tenant, Scopes: []string{authority.cloud.exchange + "/.default"},
		Parameters: url.Values{paramFMIPath: {k.agent}},
	}
	if authority.tlsBearer {
		key.Parameters.Set(paramTokenType, typeMTLSPoP)
	}
	return key
}

// secondLeg is what the agent's own token for its user is asked for with.
func (k *agentCredential) secondLeg(authority Authority) cache.Key {
	return cache.Key{Tenant: k.tenant, Agent: k.agent, Scopes: []string{authority.cloud.exchange + "/.default"}}
}

// prove returns what was obtained: the token of the first leg is the proof.
func (k *agentCredential) prove(_ context.Context, _ Authority, obtained proof) (proof, error) {
	return obtained, nil
}

// signGrant reports that an agent has no key.
func (k *agentCredential) signGrant(context.Context, Authority, proof, Assertion) (proof, error) {
	return proof{}, errors.New("an agent identity has no key to sign the assertion of JWTBearer with")
}

// replace renews the token of the first leg, at most once a minute, if it is the one that
// was refused.
func (k *agentCredential) replace(
	ctx context.Context, authority Authority, refused proof, _ *TokenError,
) (proof, bool) {
	key := k.firstLeg(authority)
	t, err := k.leg(ctx, key)
	if err == nil && t.secret().access == refused.assertion {
		t, err = k.tokens(ctx, key, t)
	}
	if err != nil || t.secret().access == refused.assertion {
		return proof{}, false
	}
	next, err := k.obtain(ctx, authority)
	return next, err == nil && next.assertion != refused.assertion
}

// The other methods do nothing, because the client's own requests do it.
func (k *agentCredential) followClock(Authority, proof, *TokenError) bool { return false }
func (k *agentCredential) granted(context.Context, proof)                 {}
func (k *agentCredential) name() string                                   { return "" }
func (k *agentCredential) binding(context.Context) (*mtls.Binding, error) { return nil, nil }

var _ credential = (*agentCredential)(nil)
