package proof

import (
	"cmp"
	"maps"
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
	if r.NeedKeyID && !a.hasText("x5t#S256", "x5t", "kid") {
		return refusal.New(5002723, "Invalid JWT token. No certificate SHA-1 thumbprint, "+
			"certificate SHA-256 thumbprint, nor keyId specified in the JWT header.")
	}
	return nil
}

// checkParameters refuses header parameters that the server doesn't know, where
// it minds them.
func (r *Rules) checkParameters(a *Assertion) *refusal.Refusal {
	if r.Headers == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if !slices.Contains(r.Headers, name) {
			return refusal.New(5002726, "Invalid JWT token. Found unsupported token header '%s'. "+
				"Supported headers are: '%s'.", name, strings.Join(r.Headers, ", "))
		}
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
