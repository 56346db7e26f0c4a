package certtokentest

import (
	"context"
	"crypto/x509"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

const (
	maxRequestBody = 256 << 10
	assertionKind  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	spiffeKind     = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe" // draft-ietf-oauth-spiffe-client-auth
	tokenPoP       = "mtls_pop"                                               // Entra ID's certificate-bound tokens
)

// The values of grant_type that the token endpoint knows.
const (
	grantClient  = "client_credentials"
	grantUser    = "urn:ietf:params:oauth:grant-type:jwt-bearer" // on behalf of a user
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"

	grantExchange  = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693
	grantAgentUser = "user_fic"                                        // an agent as a user of its own
)

// The ways in which the result of a sign-in reaches the client.
const (
	responseByQuery = "query"     // in the redirect's URL
	responseByForm  = "form_post" // in a form that the browser sends (OAuth 2.0 Form Post Response Mode)
)

// oidcScopes ask for something beside the access token.
var oidcScopes = []string{"openid", "profile", "offline_access", "email"}

// call is one request to the token endpoint on its way through the checks, each of
// which adds what it found out.
type call struct {
	ctx       context.Context // of the request
	endpoint  *endpoint
	route     route
	tune      tuning
	now       time.Time
	request   *Request
	assertion *proof.Assertion
	chain     []*x509.Certificate // of the client in TLS

	proofKey string       // the thumbprint of the key that the token is bound to; "": none
	user     string       // "": the client acts as itself
	subject  string       // of the token, where that is neither the client nor the user
	actor    string       // who acts for the subject, "": the subject itself
	code     *grants.Code // the code or refresh token, nil: none

	issued     string   // the type of what a token exchange issues, "": another grant
	grantScope string   // that the grant's assertion asks for
	asked      []string // scopes, those of the sign-in where the request names none
	scopes     []string // granted
	audiences  []string // of the token
}

func newCall(e *endpoint, r *http.Request, route route) *call {
	tune := e.tuned()
	now := time.Now()
	c := &call{
		ctx:      r.Context(),
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
	if id, _, ok := r.BasicAuth(); ok && c.request.ClientID == "" {
		c.request.ClientID = id
	}
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

// accepted are the audiences that an assertion may have at this endpoint.
func (c *call) accepted() []string {
	own := c.request.URL
	if c.route.dialect.issuerAudience {
		own = c.endpoint.cfg.issuerOf(c.route)
	}
	audiences := append([]string{own}, c.endpoint.cfg.audiences...)
	if c.route.dialect.looseAudience {
		audiences = append(audiences, c.request.URL)
	}
	return audiences
}

// isBearerGrant reports whether the request brings an assertion as its grant. With
// requested_token_use the same grant_type is Entra ID's on-behalf-of flow.
func (c *call) isBearerGrant() bool {
	return c.endpoint.cfg.generic && c.form("grant_type") == grantUser && c.form("requested_token_use") == ""
}

// byGrant reports whether the grant is all the proof that the request brings and needs.
func (c *call) byGrant() bool {
	return c.endpoint.cfg.grantOnly && c.isBearerGrant() && c.form("client_assertion") == "" && len(c.chain) == 0
}

// putSeconds writes a duration as the server is told to.
func (c *call) putSeconds(body map[string]any, name string, d time.Duration) {
	n := int64(d / time.Second)
	if c.tune.expiresText {
		body[name] = strconv.FormatInt(n, 10)
		return
	}
	body[name] = n
}
