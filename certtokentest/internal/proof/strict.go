package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/certtoken/certtoken/internal/jws"
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
	names, err := jws.MemberNames(data)
	if errors.Is(err, jws.ErrNoObject) { // null, which has no members
		return nil
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			return fmt.Errorf("the member %q stands in it twice", name)
		}
		seen[name] = true
	}
	return err
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
