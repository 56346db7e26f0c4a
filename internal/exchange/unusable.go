package exchange

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/certtoken/certtoken/internal/syntax"
)

// Unusable is an answer that is neither a token nor a refusal.
type Unusable struct {
	Endpoint    string // scheme, host and path
	StatusCode  int
	ContentType string
	Problem     string // what is wrong with it
	UnknownType bool   // the token's type, which may mean Bearer at this server
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

// redirectHost is where a response redirects to.
func redirectHost(r *Request, resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" {
		return ""
	}
	return " to " + r.secrets().Short(u.Host)
}
