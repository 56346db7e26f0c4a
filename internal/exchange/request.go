package exchange

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/redact"
)

// Bearer is the token type of RFC 6750, as it is written in an Authorization
// header.
const Bearer = "Bearer"

// Request is one token request. It belongs to one goroutine.
type Request struct {
	Endpoint      string // an https URL
	Form          url.Values
	CorrelationID string
	HTTP          *http.Client // whose connections are used; nil: the client's own

	DPoP     string            // the proof of the key that the token is to be bound to; "": none
	Answered func(http.Header) // is called with the header of every answer; may be nil

	TokenType   string        // that is wanted; "": Bearer
	AnyType     bool          // a type that no scheme is known for is the wanted one
	AssumedLife time.Duration // of a token whose server doesn't say; 0: a minute

	scrubber *redact.Scrubber // made when it is first needed
}

// secretFields are the fields of a form that hold secrets.
var secretFields = []string{
	"client_assertion", "assertion", "code", "code_verifier", "refresh_token",
	"subject_token", "actor_token", "user_federated_identity_credential", "client_secret", "password",
}

// secrets takes out of texts what the request is secret about.
func (r *Request) secrets() *redact.Scrubber {
	if r.scrubber == nil {
		r.scrubber = r.secretsAnd()
	}
	return r.scrubber
}

// secretsAnd also takes out what else is secret, such as what was granted.
func (r *Request) secretsAnd(secrets ...string) *redact.Scrubber {
	for _, name := range secretFields {
		secrets = append(secrets, r.Form[name]...)
	}
	secrets = append(secrets, r.DPoP)
	if u, err := url.Parse(r.Endpoint); err == nil && u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.Username(), password)
	}
	return redact.New(secrets...)
}

func (r *Request) build(ctx context.Context, userAgent string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Endpoint, strings.NewReader(r.Form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("client-request-id", r.CorrelationID)
	req.Header.Set("return-client-request-id", "true")
	if r.DPoP != "" {
		req.Header.Set(dpop.Header, r.DPoP)
	}
	return req, nil
}
