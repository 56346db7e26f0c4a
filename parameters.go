package certtoken

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Bounds of the parameters of one request.
const (
	maxParameters    = 64       // values
	maxParameterText = 16 << 10 // bytes of names and values
)

// ownParameters are those of a token request, and those by which a client would
// prove itself in another way.
var ownParameters = map[string]bool{
	"grant_type": true, "scope": true, "claims": true, "token_type": true,
	"client_id": true, "client_secret": true, "client_assertion": true, "client_assertion_type": true,
	"assertion": true, "requested_token_use": true,
	"code": true, "redirect_uri": true, "code_verifier": true, "refresh_token": true,
	"username": true, "password": true,
	"subject_token": true, "subject_token_type": true, "actor_token": true, "actor_token_type": true,
	"user_federated_identity_credential": true,
}

// checkParameterName refuses what can't be the name of a parameter, and the names that the
// library sets.
func checkParameterName(name string) error {
	switch {
	case name == "" || !syntax.IsVisible(name) || len(name) > redact.MaxShort:
		return fmt.Errorf("parameter %q is not a name", redact.Short(name))
	case ownParameters[strings.ToLower(name)]:
		return fmt.Errorf("parameter %q is set by the library and can't be given", name)
	}
	return nil
}

// checkParameterValue refuses a value that a form can't hold, and an empty one: servers
// must treat it as if it were missing (RFC 6749 §3.2), so the token would be another than
// the caller believes.
func checkParameterValue(name, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("parameter %q is empty: leave it out or give it a value", name)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("parameter %q has control characters or isn't UTF-8: "+
			"write a JSON value in one line, without tabs", name)
	}
	return nil
}

// checkedParameters checks the parameters of a request and copies them. Names without a
// value are left out. The errors show no value.
func checkedParameters(given url.Values) (url.Values, error) {
	if len(given) == 0 {
		return nil, nil
	}
	number, length := 0, 0
	for name, values := range given {
		number += len(values)
		length += len(name)
		for _, value := range values {
			length += len(value)
		}
	}
	if number > maxParameters || len(given) > maxParameters || length > maxParameterText {
		return nil, fmt.Errorf("more than %d parameters or %d bytes of them", maxParameters, maxParameterText)
	}
	checked := make(url.Values, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) { // sorted, so that the error is the same each time
		if err := checkParameterName(name); err != nil {
			return nil, err
		}
		for _, value := range given[name] {
			if err := checkParameterValue(name, value); err != nil {
				return nil, err
			}
			checked[name] = append(checked[name], strings.Clone(value))
		}
	}
	if len(checked) == 0 {
		return nil, nil
	}
	return checked, nil
}
