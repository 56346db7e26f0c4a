package spiffe

import (
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/certtoken/certtoken"
)

// maxListed is how many identities an error lists.
const maxListed = 10

// identity is what an SVID is chosen by.
type identity struct {
	id   spiffeid.ID
	hint string
}

// choose returns the index of the first identity that has the ID and hint that were
// asked for.
func choose(c *config, listed []identity) (int, error) {
	for i, one := range listed {
		if c.fits(one.id.String(), one.hint) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("spiffe: %s: %w: the agent has no SVID with %s for this process, but %s",
		c.address, certtoken.ErrNoCertificate, c.wanted(), namesOf(listed))
}

// fits reports whether an SVID of this ID and hint is one that was asked for.
func (c *config) fits(id, hint string) bool {
	return (c.id.IsZero() || id == c.id.String()) && (c.hint == "" || hint == c.hint)
}

func namesOf(listed []identity) string {
	var names []string
	for i, one := range listed {
		if i == maxListed {
			names = append(names, "…")
			break
		}
		name := cut(one.id.String(), maxName)
		if one.hint != "" {
			name += fmt.Sprintf(" (hint %q)", cut(one.hint, maxName))
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

func x509Identities(svids []*x509svid.SVID) []identity {
	listed := make([]identity, len(svids))
	for i, svid := range svids {
		listed[i] = identity{svid.ID, svid.Hint}
	}
	return listed
}

func jwtIdentities(svids []*jwtsvid.SVID) []identity {
	listed := make([]identity, len(svids))
	for i, svid := range svids {
		listed[i] = identity{svid.ID, svid.Hint}
	}
	return listed
}
