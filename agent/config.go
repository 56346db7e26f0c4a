package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/single"
)

// Config is what an Agent is made of.
type Config struct {
	// Identities are what programs can ask for tokens of. At least one.
	Identities []Identity

	// Audit gets one record for each decision: who asked, for which identity and scope,
	// and what was decided. It never gets a token or a secret. If it is nil, nothing is
	// written.
	Audit *slog.Logger
}

// Identity is an application whose tokens the agent hands out, and to whom.
type Identity struct {
	// Name is for people and the audit log, and callers may use it in place of ClientID.
	// It has no blanks.
	Name string

	// ClientID is the application's id, by which callers choose one of several identities.
	// A caller who names none gets the first that lists it.
	ClientID string

	// Client gets the tokens. It stays the caller's of New: the agent doesn't close it.
	Client *certtoken.Client

	// Certificate is where the client has its certificate from, so that the readiness
	// tells of one that is about to end. It may be nil.
	Certificate certtoken.CertSource

	// Scopes are what may be asked for. In the host of a URL a * stands for one label, as in
	// https://*.vault.azure.net/.default.
	Scopes []string

	// Callers are who may ask. The same caller may be listed in several identities.
	Callers []Caller
}

// identity is an Identity that was checked.
type identity struct {
	Identity
	allowed []scope
	slots   []chan struct{} // for each caller: its requests at once
	asked   single.Caller[IdentityHealth]
}

// maxAtOnce is how many requests of one caller for one identity are under way at once.
// The others wait. So a caller that asks for what takes long doesn't hold up another.
const maxAtOnce = 64

// turnLimit is how long they wait for their turn.
const turnLimit = 40 * time.Second

// policy is who may have what. It isn't changed after it was made.
type policy struct{ identities []*identity }

// newPolicy checks the identities. The error names every mistake.
func newPolicy(identities []Identity) (*policy, error) {
	p := &policy{}
	var errs []error
	if len(identities) == 0 {
		errs = append(errs, errors.New("no identity: nobody could be given anything"))
	}
	names := map[string]bool{}
	for i, given := range identities {
		id, err := newIdentity(given)
		if err != nil {
			name := fmt.Sprintf("identity %q", redact.Short(given.Name))
			if given.Name == "" {
				name = fmt.Sprintf("identity %d", i+1)
			}
			for _, one := range unjoin(err) {
				errs = append(errs, fmt.Errorf("%s: %w", name, one))
			}
		}
		if names[given.Name] && given.Name != "" {
			errs = append(errs, fmt.Errorf("two identities have the name %q", redact.Short(given.Name)))
		}
		names[given.Name] = true
		p.identities = append(p.identities, id)
	}
	return p, errors.Join(errs...)
}

func newIdentity(given Identity) (*identity, error) {
	id := &identity{Identity: given}
	var errs []error
	if given.Name == "" || strings.ContainsFunc(given.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("its name is empty, or has blanks or other characters than ASCII's"))
	}
	if given.ClientID == "" {
		errs = append(errs, errors.New("it has no ClientID"))
	}
	if given.Client == nil {
		errs = append(errs, errors.New("it has no Client"))
	}
	if len(given.Scopes) == 0 {
		errs = append(errs, errors.New("it lists no scope, so nobody could be given anything"))
	}
	if len(given.Callers) == 0 {
		errs = append(errs, errors.New("it lists no caller, so nobody could be given anything"))
	}
	for _, text := range given.Scopes {
		pattern, err := parsePattern(text)
		errs = append(errs, err)
		id.allowed = append(id.allowed, pattern)
	}
	for _, caller := range given.Callers {
		errs = append(errs, caller.Check())
		id.slots = append(id.slots, make(chan struct{}, maxAtOnce))
	}
	return id, errors.Join(errs...)
}

// grantee is an identity that lists the caller, and how.
type grantee struct {
	*identity
	caller string
	slots  chan struct{}
}

// granteesOf lists the identities that have the one who asks as a caller, in their order. Every caller
// of every identity is compared, so that the time shows nothing about which of them
// fits.
func (p *policy) granteesOf(a asker) []grantee {
	var found []grantee
	for _, id := range p.identities {
		match := -1
		for i, caller := range id.Callers {
			if caller.knows(a) && match < 0 {
				match = i
			}
		}
		if match >= 0 {
			found = append(found, grantee{id, id.Callers[match].name, id.slots[match]})
		}
	}
	return found
}

// choose finds the identity that a caller means: the first, or the one that it names by
// its client id or name.
func choose(listed []grantee, named string) (grantee, bool) {
	if named == "" && len(listed) > 0 {
		return listed[0], true
	}
	for _, g := range listed {
		if strings.EqualFold(g.ClientID, named) || g.Name == named {
			return g, true
		}
	}
	return grantee{}, false
}

// allows reports whether the identity lists all of these scopes.
func (id *identity) allows(scopes []scope) bool {
	for _, s := range scopes {
		if !slices.ContainsFunc(id.allowed, func(pattern scope) bool { return pattern.allows(s) }) {
			return false
		}
	}
	return len(scopes) > 0
}

// only is the identity's scope, if it lists exactly one.
func (id *identity) only() ([]scope, bool) {
	if len(id.allowed) == 1 && id.allowed[0].isFixed() {
		return id.allowed, true
	}
	return nil, false
}

// begin waits for the caller's turn.
func (g grantee) begin(ctx context.Context) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	wait, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		return true
	case <-wait.Done():
		return false
	}
}

func (g grantee) end() { <-g.slots }
