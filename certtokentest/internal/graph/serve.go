package graph

import (
	"net/http"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// objectPath is an object, named by its own id or by its client's, and what to do with it.
var objectPath = lazyregexp.New(`^/(?:v1\.0|beta)/(applications|servicePrincipals)` +
	`(?:/([^/()']+)|\(appId='([^/()']+)'\)|\('([^/()']+)'\))(?:/(?:microsoft\.graph\.)?(addKey|removeKey))?$`)

// ServeHTTP answers a request whose access token is valid.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, failed := a.decide(r)
	if failed != nil {
		reply = failed.answer(r, a.Now())
	}
	reply.Serve(w, r)
}

func (a *API) decide(r *http.Request) (*answer.Answer, *failure) {
	found := objectPath().FindStringSubmatch(r.URL.Path)
	if found == nil {
		return nil, badRequest("Resource not found for the path '%s': only addKey, removeKey and reading one "+
			"application or service principal are modelled.", r.URL.Path)
	}
	o, ok := a.find(owners[found[1]], found[2]+found[4], found[3])
	if !ok {
		return nil, notFound("Resource '%s' does not exist or one of its queried reference-property objects are "+
			"not present.", found[2]+found[3]+found[4])
	}
	switch action := found[5]; {
	case action == "" && r.Method == http.MethodGet:
		return a.read(r, o)
	case action == "" || r.Method != http.MethodPost:
		return nil, &failure{status: http.StatusMethodNotAllowed, code: "Request_BadRequest",
			message: "Specified HTTP method is not allowed for the request target."}
	case action == "addKey":
		return a.addKey(r, o)
	}
	return a.removeKey(r, o)
}
