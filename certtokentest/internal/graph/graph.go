// Package graph answers as Microsoft Graph does where an application or a service
// principal rolls its own keys: addKey, removeKey, and reading its keyCredentials. It
// knows no access token: whom a request comes from it is told.
package graph

import (
	"net/http"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// API is Microsoft Graph's share of a server. Its fields don't change.
type API struct {
	Clients *proof.Clients
	Now     func() time.Time
	Caller  func(*http.Request) string // the client whose access token the request brings

	Proof       proof.Rollover // its ObjectID is that of the request
	Propagation time.Duration  // until the token endpoint knows a new certificate
	Servers     int            // of the token endpoint, each of which hears of it at a time of its own
	KeepLast    bool           // the last certificate can't be removed
	MaxLife     time.Duration  // of a certificate; 0: any
	Permitted   []string       // clients that may do this to every object, and read it
}

// object is an application or a service principal of a client.
type object struct {
	id       string
	clientID string
	owner    proof.Owner
}

// ObjectID is the id of a client's application or service principal, which is the same in
// every server. The service principal's is the oid of the client's tokens.
func ObjectID(owner proof.Owner, clientID string) string {
	if owner == proof.ServicePrincipal {
		return grants.SubjectOf(clientID)
	}
	return ids.StableUUID("application", clientID)
}

var owners = map[string]proof.Owner{"applications": proof.Application, "servicePrincipals": proof.ServicePrincipal}

// find finds the object with an id, or that of a client.
func (a *API) find(owner proof.Owner, id, clientID string) (object, bool) {
	for _, name := range a.Clients.Names() {
		if o := (object{ObjectID(owner, name), name, owner}); o.id == id || name == clientID {
			return o, true
		}
	}
	return object{}, false
}

// isPermitted reports whether the caller may see and change what isn't its own.
func (a *API) isPermitted(r *http.Request) bool { return slices.Contains(a.Permitted, a.Caller(r)) }
