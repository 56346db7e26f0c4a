package certtokentest

import (
	"net/http"
	"slices"

	"github.com/certtoken/certtoken/certtokentest/internal/graph"
)

// newGraph is Microsoft Graph at a server's address.
func newGraph(e *endpoint, origin string) *Resource {
	rules := e.cfg.graph
	api := &graph.API{
		Clients: &e.clients,
		Now:     e.now,
		Caller: func(r *http.Request) string {
			_, token := authorization(r)
			t, _ := e.tokens.Find(token)
			return t.ClientID
		},
		Proof:       rules.proof(),
		Propagation: rules.Propagation,
		Servers:     rules.Servers,
		KeepLast:    rules.KeepLast,
		MaxLife:     rules.MaxLife,
		Permitted:   slices.Clone(rules.Permitted),
	}
	return newResource(e, origin, rules.audience(), api)
}
