package proof

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// checkHeader checks everything in the header but which key it names.
func (r *Rules) checkHeader(a *Assertion) *refusal.Refusal {
	if !slices.Contains(r.Algorithms, a.algorithm()) {
		return refusal.New(5002738, "Invalid JWT token. '%s' is not a supported signature algorithm. "+
			"Supported signing algorithms are: '%s'.", a.algorithm(), strings.Join(r.Algorithms, ", "))
	}
	if refused := r.checkParameters(a); refused != nil {
		return refused
	}
	typ, _ := a.Header["typ"].(string)
	if !slices.ContainsFunc(r.Types, func(t string) bool { return strings.EqualFold(t, typ) }) {
		return refusal.New(5002727, "Invalid JWT token. JWT token typ header value '%s' is not supported. "+
			"Supported values: '%s'.", typ, strings.Join(typeNames(r.Types), ", "))
	}
	if r.KeyID == KeyIDMandatory && !a.hasText("kid") {
		return refusal.New(5002723, "The JSON Web Token must contain a kid header value but did not.").
			Because(refusal.UnknownKey)
	}
	if r.NeedName && !a.namesKey() {
		return refusal.New(5002723, "Invalid JWT token. No certificate SHA-1 thumbprint, "+
			"certificate SHA-256 thumbprint, nor keyId specified in the JWT header.")
	}
	return nil
}

// checkParameters refuses header parameters that the server doesn't know, where
// it minds them, and everywhere those that nobody may ignore.
func (r *Rules) checkParameters(a *Assertion) *refusal.Refusal {
	if r.Headers == nil {
		return a.checkCritical()
	}
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if !slices.Contains(r.Headers, name) {
			return refusal.New(5002726, "Invalid JWT token. Found unsupported token header '%s'. "+
				"Supported headers are: '%s'.", name, strings.Join(r.Headers, ", "))
		}
	}
	return nil
}

// checkCritical refuses an assertion that names parameters as critical (RFC 7515 §4.1.11): no
// server knows an extension of JWS that clients are proved by.
func (a *Assertion) checkCritical() *refusal.Refusal {
	if _, ok := a.Header["crit"]; !ok {
		return nil
	}
	return refusal.New(5002726, "The JSON Web Token has critical header parameters that this server doesn't know.").
		As("invalid_client", http.StatusUnauthorized)
}

// checkJWKSURL refuses a jku that isn't where the client's keys are, where the server
// minds it. Keys are never fetched from it: anybody could write one.
func (c *Client) checkJWKSURL(a *Assertion, r *Rules) *refusal.Refusal {
	value, ok := a.Header["jku"]
	if !ok || !r.JWKSURL {
		return nil
	}
	registered := ""
	if c.keys != nil {
		registered = c.keys.URL()
	}
	if url, _ := value.(string); registered == "" || url != registered {
		return refusal.New(5002726, "The assertion's jku '%v' is not the URL of the JSON Web Key Set that the client "+
			"is registered with, '%s'.", value, registered).As("invalid_client", http.StatusUnauthorized)
	}
	return nil
}

// typeNames are values of typ for people, for whom no typ needs a name too.
func typeNames(types []string) []string {
	var names []string
	for _, typ := range types {
		names = append(names, cmp.Or(typ, "(none)"))
	}
	return names
}
