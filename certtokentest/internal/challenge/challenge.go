// Package challenge writes why an API refuses a request (RFC 6750 §3), and reads
// whether a claims challenge was answered. It never knows the token.
package challenge

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
)

// Challenge is why an API refuses a request.
type Challenge struct {
	Origin      string // of the place to sign in at, or ""
	Code        string // "": none
	Description string
	Claims      string // that a token must be asked for with, as JSON

	Algorithms []string // of DPoP proofs; empty: the API takes Bearer tokens only
	DPoP       bool     // the refused token came under that scheme
}

// InvalidToken refuses a token.
func InvalidToken(why string) *Challenge { return &Challenge{Code: "invalid_token", Description: why} }

// header is the value of WWW-Authenticate. An API that takes both schemes names both, with
// the error under the one that was used (RFC 9449 §7.2).
func (c *Challenge) header() string {
	if len(c.Algorithms) == 0 {
		return c.bearer()
	}
	algs := `algs="` + strings.Join(c.Algorithms, " ") + `"`
	if c.DPoP {
		return "Bearer " + realm + ", DPoP " + c.parameters() + ", " + algs
	}
	return c.bearer() + ", DPoP " + algs
}

const realm = `realm="certtokentest"`

func (c *Challenge) bearer() string { return "Bearer " + c.parameters() }

func (c *Challenge) parameters() string {
	parameters := []string{realm}
	add := func(name, value string) {
		if value != "" {
			parameters = append(parameters, fmt.Sprintf(`%s="%s"`, name, Quoted(value)))
		}
	}
	if c.Origin != "" {
		add("authorization_uri", c.Origin+"/common/oauth2/authorize")
	}
	add("error", c.Code)
	add("error_description", c.Description)
	add("claims", base64.StdEncoding.EncodeToString([]byte(c.Claims)))
	return strings.Join(parameters, ", ")
}

// Answer is what the API answers.
func (c *Challenge) Answer() *answer.Answer {
	status := http.StatusUnauthorized
	if c.Code == "insufficient_scope" {
		status = http.StatusForbidden
	}
	a := answer.JSON(status, map[string]any{"error": map[string]string{"code": "InvalidAuthenticationToken"}})
	a.Header.Set("WWW-Authenticate", c.header())
	return a
}

// Quoted makes a text fit for a quoted string of a header (RFC 9110 §5.6.4).
func Quoted(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ").Replace(text)
}

// Covers reports whether claims ask for everything that wanted asks for.
func Covers(claims, wanted string) bool {
	var have, want any
	if json.Unmarshal([]byte(claims), &have) != nil || json.Unmarshal([]byte(wanted), &want) != nil {
		return false
	}
	return contains(have, want)
}

// contains reports whether the JSON value have is want, objects with more members
// allowed.
func contains(have, want any) bool {
	wanted, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(have, want)
	}
	got, ok := have.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range wanted {
		if member, ok := got[name]; !ok || !contains(member, value) {
			return false
		}
	}
	return true
}
