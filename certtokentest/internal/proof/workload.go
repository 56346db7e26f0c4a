package proof

import (
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// verifyWorkload checks a JWT-SVID. It may come again: agents keep it.
func (c *Client) verifyWorkload(a *Assertion, r *Rules, now time.Time) *refusal.Refusal {
	for _, check := range []func() *refusal.Refusal{
		a.checkForm,
		a.checkCritical,
		func() *refusal.Refusal { return c.checkBundle(a) },
		func() *refusal.Refusal { return r.checkSoleAudience(a) },
		func() *refusal.Refusal { return Times{Leeway: r.Times.Leeway}.check(a.Claims, now) },
	} {
		if refused := check(); refused != nil {
			return refused
		}
	}
	return nil
}

// isSVID reports whether an assertion is a JWT-SVID rather than one that its client made,
// which may be named by its SPIFFE ID, too.
func isSVID(a *Assertion) bool {
	return strings.HasPrefix(a.Subject(), "spiffe://") && a.Issuer() != a.Subject()
}

// checkBundle checks who an SVID is about and who signed it. Its header must name the key
// (SPIFFE Trust Domain and Bundle §4.2.2).
func (c *Client) checkBundle(a *Assertion) *refusal.Refusal {
	i := slices.IndexFunc(c.workloads, func(w Workload) bool { return w.ID == a.Subject() })
	if i < 0 {
		return refusal.New(700213, "The JWT-SVID is of '%s', which is not the client's SPIFFE ID.", a.Subject())
	}
	kid, _ := a.Header["kid"].(string)
	named := slices.DeleteFunc(slices.Clone(c.workloads[i].Keys), func(key keyset.Key) bool {
		return kid == "" || key.ID != kid
	})
	if len(named) == 0 {
		return refusal.New(700027, "The JWT-SVID's kid '%s' names no key of the trust domain's bundle.", kid).
			Because(refusal.UnknownKey)
	}
	_, refused := a.verify(named)
	return refused
}

// checkSoleAudience wants this server and nobody else in aud, as a string or a list.
func (r *Rules) checkSoleAudience(a *Assertion) *refusal.Refusal {
	if list, ok := a.Claims["aud"].([]any); ok && len(list) != 1 {
		return refusal.New(50027, "The JWT-SVID has %d audiences, and must have one.", len(list))
	}
	lists := *r
	lists.AudienceLists = true
	return lists.checkAudience(a)
}
