package proof

import (
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// checkAudience demands one string; a list, even of one, is refused unless lists
// are allowed, and then whatever is in it must be this server.
func (r *Rules) checkAudience(a *Assertion) *refusal.Refusal {
	claim := a.Claims["aud"]
	if list, ok := claim.([]any); ok && r.AudienceLists && len(list) > 0 {
		claim = list[0]
		for _, entry := range list {
			if name, _ := entry.(string); !slices.Contains(r.Audiences, name) {
				claim = entry
			}
		}
	}
	switch aud := claim.(type) {
	case nil:
		return refusal.MissingClaim("aud")
	case string:
		if slices.Contains(r.Audiences, aud) {
			return nil
		}
		expected := strings.Join(r.Audiences, "' or '")
		return refusal.New(700023, "Client assertion audience claim does not match Realm issuer. "+
			"Audience: '%s', expected: '%s'. Review the documentation at "+
			"https://learn.microsoft.com/entra/identity-platform/certificate-credentials.", aud, expected).
			Plainly("The assertion's audience is '%s', and must be '%s'.", aud, expected).
			Because(refusal.Audience)
	default:
		return refusal.New(50027, "JWT token is invalid or malformed: the audience must be one string.")
	}
}

// checkIdentity demands the client's id as iss and as sub. The subject of a grant is a
// user.
func checkIdentity(p Presented) *refusal.Refusal {
	for _, name := range []string{"iss", "sub"} {
		value := p.Assertion.text(name)
		if value == "" {
			if p.NeedsNoSubject && name == "sub" && p.Assertion.Claims[name] == nil {
				continue
			}
			return refusal.MissingClaim(name)
		}
		if value != p.ClientID && !(p.ForUser && name == "sub") {
			return refusal.New(700021, "Client assertion application identifier doesn't match 'client_id' parameter. "+
				"Assertion's %s is '%s', client_id is '%s'.", name, value, p.ClientID)
		}
	}
	return nil
}
