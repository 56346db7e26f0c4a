package certtokentest

import (
	"cmp"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// signIn is the authorization endpoint (RFC 6749 §4.1.1), where a user has signed
// in and consented before the page could be drawn: whom login_hint names, or
// somebody of the tenant. A client that opens it, and follows the redirect or
// sends the form, has the code.
func (e *endpoint) signIn(r *http.Request, to route) *answer.Answer {
	query := r.URL.Query()
	back, err := url.Parse(query.Get("redirect_uri"))
	switch { // neither may be told by a redirect (RFC 6749 §4.1.2.1)
	case e.clients.Lookup(query.Get("client_id")) == nil:
		return e.discoveryRefused(to, refusal.New(700016,
			"Application with identifier '%s' was not found in the directory '%s'.", query.Get("client_id"), to.tenant))
	case err != nil || back.Scheme == "" || back.Host == "" || back.Fragment != "": // RFC 6749 §3.1.2
		return e.discoveryRefused(
			to,
			refusal.New(900144, "The parameter 'redirect_uri' must be a URL without a fragment."),
		)
	}
	result := e.signInResult(query)
	if state := query.Get("state"); state != "" {
		result.Set("state", state)
	}
	if e.cfg.generic { // RFC 9207
		result.Set("iss", e.cfg.issuerOf(to))
	}
	if query.Get("response_mode") == responseByForm {
		return signedInByForm(back, result)
	}
	return signedInByRedirect(back, result)
}

func signedInByRedirect(back *url.URL, result url.Values) *answer.Answer {
	merged := back.Query()
	for name, values := range result {
		merged[name] = values
	}
	back.RawQuery = merged.Encode()
	a := &answer.Answer{Status: http.StatusFound, Header: http.Header{"Cache-Control": {"no-store"}}}
	a.Header.Set("Location", back.String())
	return a
}

// signedInByForm is a page whose form a browser sends by itself.
func signedInByForm(back *url.URL, result url.Values) *answer.Answer {
	var page strings.Builder
	fmt.Fprintf(&page, "<!DOCTYPE html>\n<title>Signed in</title>\n<form method=\"post\" action=\"%s\">\n",
		html.EscapeString(back.String()))
	for _, name := range slices.Sorted(maps.Keys(result)) {
		fmt.Fprintf(&page, "<input type=\"hidden\" name=\"%s\" value=\"%s\">\n",
			html.EscapeString(name), html.EscapeString(result.Get(name)))
	}
	page.WriteString("<noscript><button>Continue</button></noscript>\n</form>\n" +
		"<script>document.forms[0].submit()</script>\n")
	return &answer.Answer{Status: http.StatusOK, Body: []byte(page.String()), Header: http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"text/html; charset=utf-8"}, "Referrer-Policy": {"no-referrer"},
	}}
}

// signInResult is a code, or what the client did wrong.
func (e *endpoint) signInResult(query url.Values) url.Values {
	if code, description := signInMistake(query); code != "" {
		return url.Values{"error": {code}, "error_description": {description}}
	}
	return url.Values{"code": {e.codes.New(grants.Code{
		ClientID:      query.Get("client_id"),
		User:          cmp.Or(query.Get("login_hint"), "user@"+e.cfg.tenant()),
		RedirectURI:   query.Get("redirect_uri"),
		CodeChallenge: query.Get("code_challenge"),
		Nonce:         query.Get("nonce"),
		Scopes:        strings.Fields(query.Get("scope")),
	}, e.now())}}
}

// signInMistake checks what can be told to the client, by redirect.
func signInMistake(query url.Values) (code, description string) {
	for _, values := range query {
		if len(values) > 1 {
			return "invalid_request", "A parameter is given more than once."
		}
	}
	switch {
	case query.Get("response_type") != "code":
		return "unsupported_response_type", "The response_type must be 'code'."
	case !slices.Contains([]string{"", responseByQuery, responseByForm}, query.Get("response_mode")):
		return "invalid_request", "The response_mode must be 'query' or 'form_post'."
	case query.Get("code_challenge") != "" && query.Get("code_challenge_method") != "S256":
		return "invalid_request", "The code_challenge_method must be 'S256'."
	}
	return "", ""
}
