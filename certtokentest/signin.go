package certtokentest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// signIn is the authorization endpoint (RFC 6749 §4.1.1), where a user has signed
// in and consented before the page could be drawn: whom login_hint names, or
// somebody of the tenant. A client that opens it, and follows the redirect,
// has the code.
func (s *Server) signIn(r *http.Request, to route) *answer {
	query := r.URL.Query()
	back, err := url.Parse(query.Get("redirect_uri"))
	switch {
	case s.clients.lookup(query.Get("client_id")) == nil:
		return s.signInRefused(to, refuse(700016, "Application with identifier '%s' was not found in the directory '%s'.", query.Get("client_id"), to.tenant))
	case err != nil || back.Scheme == "" || back.Host == "" || back.Fragment != "": // RFC 6749 §3.1.2
		return s.signInRefused(to, refuse(900144, "The parameter 'redirect_uri' must be a URL without a fragment."))
	}
	result := url.Values{}
	if f := refuseSignIn(query); f != nil {
		result.Set("error", f.err)
		result.Set("error_description", f.description)
	} else {
		result.Set("code", s.AuthorizationCode(CodeRequest{
			ClientID:      query.Get("client_id"),
			User:          cmp.Or(query.Get("login_hint"), "user@"+s.tenant()),
			RedirectURI:   query.Get("redirect_uri"),
			CodeChallenge: query.Get("code_challenge"),
			Nonce:         query.Get("nonce"),
			Scopes:        strings.Fields(query.Get("scope")),
		}))
	}
	if state := query.Get("state"); state != "" {
		result.Set("state", state)
	}
	if s.cfg.generic { // RFC 9207
		result.Set("iss", s.issuerOf(to))
	}
	merged := back.Query()
	for name, values := range result {
		merged[name] = values
	}
	back.RawQuery = merged.Encode()
	a := &answer{status: http.StatusFound, header: http.Header{"Cache-Control": {"no-store"}}}
	a.header.Set("Location", back.String())
	return a
}

// refuseSignIn checks what can be told to the client, by redirect.
func refuseSignIn(query url.Values) *refusal {
	for _, values := range query {
		if len(values) > 1 {
			return &refusal{err: "invalid_request", description: "A parameter is given more than once."}
		}
	}
	switch {
	case query.Get("response_type") != "code":
		return &refusal{err: "unsupported_response_type", description: "The response_type must be 'code'."}
	case !slices.Contains([]string{"", "query"}, query.Get("response_mode")):
		return &refusal{err: "invalid_request", description: "The response_mode must be 'query'."}
	case query.Get("code_challenge") != "" && query.Get("code_challenge_method") != "S256":
		return &refusal{err: "invalid_request", description: "The code_challenge_method must be 'S256'."}
	}
	return nil
}

// signInRefused is for what must not be redirected (RFC 6749 §4.1.2.1).
func (s *Server) signInRefused(to route, f *refusal) *answer {
	f.status = http.StatusBadRequest
	if to.dialect.aadsts {
		return jsonAnswer(f.status, f.entraBody(s.now(), newUUID()))
	}
	return jsonAnswer(f.status, f.genericBody())
}
