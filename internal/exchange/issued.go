package exchange

import (
	"fmt"
	"strings"
)

// GrantExchange is the grant_type of a token exchange (RFC 8693 §2.1).
const GrantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// NotApplicable is the type of an issued token that is no access token (RFC 8693 §2.2.1).
const NotApplicable = "N_A"

// typePrefix begins the identifiers of token types (RFC 8693 §3).
const typePrefix = "urn:ietf:params:oauth:token-type:"

// Types of issued tokens.
const (
	typeAccess = typePrefix + "access_token"
	typeJWT    = typePrefix + "jwt" // may be an access token
)

// noAccessTypes are types of tokens that no resource takes as an access token, whatever
// token_type says of them.
var noAccessTypes = map[string]bool{
	typePrefix + "id_token": true, typePrefix + "refresh_token": true, typePrefix + "id-jag": true,
	typePrefix + "saml1": true, typePrefix + "saml2": true,
}

// exchanged compares what a token exchange issued with what was asked for. It reports
// whether the token is one that was asked for and is no access token. A problem is a text
// about an answer that can't be used, or "". For other grants it finds nothing.
//
// The standard demands issued_token_type. Some servers leave it out, and what they issue
// is then what was asked for.
func (r *Request) exchanged(tokenType, issued string) (noAccess bool, problem string) {
	if r.Form.Get("grant_type") != GrantExchange {
		return false, ""
	}
	requested := r.Form.Get("requested_token_type")
	noAccess = strings.EqualFold(tokenType, NotApplicable) || noAccessTypes[issued] || noAccessTypes[requested]
	switch {
	case issued != "" && requested != "" && !isSameType(issued, requested):
		return false, fmt.Sprintf("it issued a token of the type %s where %s was asked for",
			r.secrets().Short(issued), r.secrets().Short(requested))
	case noAccess && (requested == "" || requested == typeAccess):
		return false, fmt.Sprintf(`it issued no access token (issued_token_type "%s", token_type "%s"): `+
			"if such a token is wanted, name its type in the parameter requested_token_type",
			r.secrets().Short(issued), r.secrets().Short(tokenType))
	}
	return noAccess, ""
}

// isSameType reports whether one type is the other, or both may be an access token.
func isSameType(a, b string) bool {
	mayBeAccess := func(t string) bool { return t == typeAccess || t == typeJWT }
	return a == b || mayBeAccess(a) && mayBeAccess(b)
}
