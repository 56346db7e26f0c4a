package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxNumber is the greatest number that every reader of JSON takes for the same one (RFC 8259 §6).
// Above it, whether a time is past depends on the machine.
const maxNumber = 1 << 53

// textParameters are header parameters that are texts (RFC 7515 §4.1). A jku has a check of its own.
var textParameters = []string{"alg", "typ", "cty", "kid", "x5t", "x5t#S256"}

// strictForm refuses what the JWT libraries of real servers refuse, or don't agree about, before they
// look at what it means: two members of one name, parameters of another type, numbers that
// are no times. No client has a use for them.
func strictForm(raw string, header map[string]any, claims jwt.MapClaims) error {
	parts := strings.Split(raw, ".")
	for i, what := range []string{"header", "claims"} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return err
		}
		if !utf8.Valid(data) {
			return fmt.Errorf("%s: not UTF-8", what)
		}
		if err := checkNames(data); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return errors.Join(checkTypes(header), checkNumbers(claims))
}

// checkNames refuses an object in which a name stands twice (RFC 7515 §4, RFC 7519 §4). What is
// inside its members is left to who reads them.
func checkNames(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil // null, which has no members
	}
	seen := map[any]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("the member %q stands in it twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}

func checkTypes(header map[string]any) error {
	for _, name := range textParameters {
		if value, ok := header[name]; ok {
			if _, isText := value.(string); !isText {
				return fmt.Errorf("the header parameter %q is not a string", name)
			}
		}
	}
	return nil
}

func checkNumbers(claims jwt.MapClaims) error {
	for _, name := range []string{"exp", "nbf", "iat"} {
		if n, ok := claims[name].(float64); ok && math.Abs(n) > maxNumber {
			return fmt.Errorf("the claim %q is no time", name)
		}
	}
	return nil
}
