package exchange

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/syntax"
)

// Unusable is an answer that is neither a token nor a refusal.
type Unusable struct {
	Endpoint    string // scheme, host and path
	StatusCode  int
	ContentType string
	Problem     string // what is wrong with it
	UnknownType bool   // the token's type, which may mean Bearer at this server
	Todo        string // what to do, where that is known; else ""
}

func (e *Unusable) Error() string {
	return fmt.Sprintf("%s: unusable answer (%s)", e.Endpoint, e.Detail())
}

// Detail says what came and what is wrong with it.
func (e *Unusable) Detail() string {
	return fmt.Sprintf("status %d, %s: %s", e.StatusCode, e.ContentType, e.Problem)
}

func (r *Request) unusable(resp *http.Response, problem string) *Unusable {
	return &Unusable{
		Endpoint:    syntax.EndpointName(r.Endpoint),
		StatusCode:  resp.StatusCode,
		ContentType: contentType(resp, r.secrets()),
		Problem:     problem,
	}
}

// redirectTarget is where a response redirects to, without query. Of another host's URL it
// is the host alone, because a path there may be a secret of the proxy that answered.
func redirectTarget(r *Request, resp *http.Response) string {
	from, fromErr := url.Parse(r.Endpoint)
	to, err := url.Parse(resp.Header.Get("Location"))
	switch {
	case err != nil || fromErr != nil || to.Host == "" && to.Path == "":
		return ""
	case to.Host != "" && syntax.Origin(from.ResolveReference(to)) != syntax.Origin(from):
		return " to " + r.secrets().Short(to.Host)
	}
	at := syntax.EndpointName(from.ResolveReference(to).String())
	at, _, _ = strings.Cut(at, ";") // behind it stands a session's id (;jsessionid=…)
	return " to " + r.secrets().Text(at, maxQuote)
}
