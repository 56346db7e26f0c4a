package certtokentest

import (
	"crypto/x509"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

const (
	maxRequestBody = 256 << 10
	assertionKind  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	tokenPoP       = "mtls_pop"                                               // Entra ID's certificate-bound tokens
)

// The values of grant_type that the token endpoint knows.
const (
	grantClient  = "client_credentials"
	grantUser    = "urn:ietf:params:oauth:grant-type:jwt-bearer" // on behalf of a user
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// oidcScopes ask for something beside the access token.
var oidcScopes = []string{"openid", "profile", "offline_access", "email"}

// call is one request to the token endpoint on its way through the checks, each of
// which adds what it found out.
type call struct {
	endpoint  *endpoint
	route     route
	tune      tuning
	now       time.Time
	request   *Request
	assertion *proof.Assertion
	chain     []*x509.Certificate // of the client in TLS

	user      string       // "": the client acts as itself
	code      *grants.Code // the code or refresh token, nil: none
	asked     []string     // scopes, those of the sign-in where the request names none
	scopes    []string     // granted
	audiences []string     // of the token
}

func newCall(e *endpoint, r *http.Request, route route) *call {
	tune := e.tuned()
	now := time.Now()
	c := &call{
		endpoint: e,
		route:    route,
		tune:     tune,
		chain:    presentedChain(r),
		now:      now.Add(tune.offset),
		request:  newRequest(r, now),
	}
	c.request.Tenant = route.tenant
	if len(c.chain) > 0 {
		c.request.TLSCertificate = c.chain[0]
	}
	return c
}

// newRequest is the record of a request whose body isn't read yet.
func newRequest(r *http.Request, now time.Time) *Request {
	return &Request{
		Time:   now,
		Method: r.Method,
		URL:    requestOrigin(r) + r.URL.EscapedPath(),
		Path:   r.URL.Path,
		Host:   r.Host,
		Header: r.Header.Clone(),
	}
}

// presentedChain are the certificates that the client presented in the TLS
// handshake, which proved that it has the key of the first; nil if there was none.
func presentedChain(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// read reads the form (RFC 6749 §3.2 and §4.4.2) into the record.
func (c *call) read(r *http.Request) *refusal.Refusal {
	if r.Method != http.MethodPost {
		return refusal.New(900561, "The endpoint only accepts POST requests. Received a %s request.", r.Method).
			As("invalid_request", http.StatusMethodNotAllowed)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil {
		return refusal.New(90023, "The request body can't be read.")
	}
	if len(body) > maxRequestBody {
		return refusal.New(90023, "The request body is larger than %d bytes.", maxRequestBody).
			As("invalid_request", http.StatusRequestEntityTooLarge)
	}
	typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || typ != "application/x-www-form-urlencoded" {
		return refusal.New(900144, "The request body must contain the following parameter: 'grant_type'. "+
			"The content type must be application/x-www-form-urlencoded, not '%s'.", typ)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return refusal.New(90023, "The request body is no form.")
	}
	c.assertion = c.request.fill(form)
	for name, values := range form {
		if len(values) > 1 && !(c.route.dialect.repeats && slices.Contains(mayRepeat, name)) {
			return refusal.New(90023, "The parameter '%s' is given more than once.", name)
		}
	}
	if r.Header.Get("Authorization") != "" && form.Has("client_assertion") {
		return refusal.New(90023, "The client authenticates in more than one way (RFC 6749 §2.3).")
	}
	return nil
}

// mayRepeat are the parameters of which there may be several (RFC 8707 §2, RFC
// 8693 §2.1).
var mayRepeat = []string{"resource", "audience"}

// form is a parameter of the request.
func (c *call) form(name string) string { return c.request.Form.Get(name) }
