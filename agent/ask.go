package agent

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	maxBody        = 16 << 10
	secretHeader   = "X-Identity-Header"
	appServiceVers = "2019-08-01"
)

// Paths of the two forms in which tokens are asked for. They are compared as they were
// sent: no other spelling leads there, and nothing is redirected.
const (
	AppServicePath = "/msi/token"    // of the URL for IDENTITY_ENDPOINT
	OAuthPath      = "/oauth2/token" // of the token endpoint
)

// ask is a request for a token, taken apart.
type ask struct {
	form     form
	named    string   // the identity's client id or name; "": the caller's first
	secrets  []string // what was shown as the secret: one, or one in two readings
	resource string   // of App Service's form, as it was given
	scopes   []scope
}

// parameters are those of a query or a form. A parameter that comes twice is refused:
// two programs could read different ones.
type parameters url.Values

func (p parameters) get(name string) (string, *refusal) {
	values := p[name]
	if len(values) > 1 {
		return "", misshapen("the parameter " + name + " comes more than once")
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}

// all reads several parameters, each of them also where another one is refused.
func (p parameters) all(names map[string]*string) (refused *refusal) {
	for name, value := range names {
		var r *refusal
		if *value, r = p.get(name); r != nil {
			refused = r
		}
	}
	return refused
}

// readAppService reads a request in the form of App Service's managed identity.
func readAppService(r *http.Request) (ask, *refusal) {
	a := ask{form: appService, secrets: shown(r.Header.Get(secretHeader))}
	if len(r.Header.Values(secretHeader)) > 1 {
		return a, misshapen("the header X-IDENTITY-HEADER comes more than once")
	}
	if r.Method != http.MethodGet {
		return a, misshapen("this is asked by GET")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return a, misshapen("the query can't be read")
	}
	var version string
	p := parameters(query)
	if r := p.all(map[string]*string{"api-version": &version, "resource": &a.resource, "client_id": &a.named}); r != nil {
		return a, r
	}
	for _, other := range []string{"object_id", "principal_id", "mi_res_id", "msi_res_id"} {
		if len(p[other]) > 0 {
			return a, refuse(http.StatusBadRequest, invalidRequest,
				"an identity is chosen by its client_id, and not by "+other)
		}
	}
	switch {
	case version != appServiceVers:
		return a, refuse(http.StatusBadRequest, invalidRequest, "the api-version must be "+appServiceVers)
	case a.resource == "":
		return a, refuse(http.StatusBadRequest, invalidRequest, "the parameter resource is missing")
	}
	one, err := scopeOfResource(a.resource)
	if err != nil {
		return a, refuse(http.StatusBadRequest, invalidScope, "the resource: "+err.Error())
	}
	a.scopes = []scope{one}
	return a, nil
}

// readOAuth reads a token request with client credentials (RFC 6749 §4.4.2). Without a
// scope, a.scopes is empty.
func readOAuth(w http.ResponseWriter, r *http.Request) (ask, *refusal) {
	a := ask{form: oauth}
	if r.Method != http.MethodPost {
		return a, misshapen("this is asked by POST")
	}
	if r.URL.RawQuery != "" {
		return a, misshapen("the parameters belong into the body (RFC 6749 §3.2)")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return a, misshapen("the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return a, misshapen(bodyTrouble(err))
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return a, misshapen("the body can't be read")
	}
	return a.fromForm(r, parameters(form))
}

func bodyTrouble(err error) string {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return "the body is too large"
	}
	return "the body didn't come"
}

func (a ask) fromForm(r *http.Request, p parameters) (ask, *refusal) {
	var grant, scopes, resource, secret string
	refused := p.all(map[string]*string{
		"grant_type": &grant, "scope": &scopes, "resource": &resource,
		"client_id": &a.named, "client_secret": &secret,
	})
	a.secrets = shown(secret)
	if r := a.fromBasic(r); r != nil {
		refused = r
	}
	if refused != nil {
		return a, refused
	}
	switch {
	case len(p["client_assertion"]) > 0 || len(p["client_assertion_type"]) > 0:
		return a, refuse(http.StatusBadRequest, invalidRequest, "the agent takes a client_secret, and no client_assertion")
	case grant == "":
		return a, refuse(http.StatusBadRequest, invalidRequest, "the parameter grant_type is missing")
	case grant != "client_credentials":
		return a, refuse(http.StatusBadRequest, unsupportedGrant, "the agent knows the grant client_credentials only")
	case scopes != "" && resource != "":
		return a, refuse(http.StatusBadRequest, invalidRequest, "scope and resource exclude each other")
	}
	var err error
	switch {
	case resource != "":
		var one scope
		one, err = scopeOfResource(resource)
		a.scopes = []scope{one}
	case scopes != "":
		a.scopes, err = parseScopes(scopes)
	}
	if err != nil {
		return a, refuse(http.StatusBadRequest, invalidScope, err.Error())
	}
	return a, nil
}

// fromBasic takes client id and secret from the Authorization header (RFC 6749
// §2.3.1). That section wants both escaped, which many clients leave out. So a secret
// with a + or a % is read in both ways: only one of them can be a caller's.
func (a *ask) fromBasic(r *http.Request) *refusal {
	if len(r.Header.Values("Authorization")) == 0 {
		return nil
	}
	if len(a.secrets) > 0 || len(r.Header.Values("Authorization")) > 1 {
		return misshapen("client credentials come more than once (RFC 6749 §2.3)")
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		return misshapen("the Authorization header isn't Basic")
	}
	id = unescaped(id)
	if a.named != "" && !strings.EqualFold(a.named, id) {
		return misshapen("two client ids")
	}
	a.named, a.secrets = id, shown(secret, unescaped(secret))
	return nil
}

// shown are the secrets among some texts, without the line end of a file that one was
// read from.
func shown(texts ...string) []string {
	var secrets []string
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text != "" && !slices.Contains(secrets, text) {
			secrets = append(secrets, text)
		}
	}
	return secrets
}

// refuseUnknown refuses who isn't a caller of any identity. It is told how to ask, and
// nothing else that may be wrong.
func (a ask) refuseUnknown(c *connection, why *refusal) *refusal {
	r := refuse(http.StatusUnauthorized, invalidClient, wrongSecret)
	switch {
	case c.unix:
		r.reason = notListed
	case len(a.secrets) > 0:
	case why != nil && why.shape:
		r.reason += ": " + why.reason
	case a.form == appService:
		r.reason += ": there is no header X-IDENTITY-HEADER"
	default:
		r.reason += ": there is no client_secret in the body, and no Authorization header"
	}
	r.slow = len(a.secrets) > 0
	return r
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
