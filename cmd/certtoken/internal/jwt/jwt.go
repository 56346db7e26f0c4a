// Package jwt takes a JWT apart for display. It checks no signature, and its
// errors repeat nothing of the token.
package jwt

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// MaxSize is how many bytes are read. A token of this size fits into no header
// of any server.
const MaxSize = 1 << 20

// Parts are the two parts of a JWT that say something.
type Parts struct {
	Header json.RawMessage `json:"header"`
	Claims json.RawMessage `json:"claims"`
}

// Read reads a JWT in any form that Find knows.
func Read(text string) (*Parts, error) {
	token, err := Find(text)
	if err != nil {
		return nil, err
	}
	return Split(token)
}

// Find finds the token in what programs print: the token alone or in an Authorization
// header, or JSON of a token response (RFC 6749 §5.1), of "az account get-access-token" or
// of a credential plugin of kubectl. It is "" where there is none. What it finds may be no
// JWT.
func Find(text string) (string, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	switch {
	case len(text) > MaxSize:
		return "", failure.Errorf("the token has over %d bytes", MaxSize)
	case strings.HasPrefix(text, "{"):
		return findInJSON(text)
	}
	if header := headerLine().FindStringSubmatch(text); header != nil {
		text = header[1]
	}
	return strings.Trim(text, `"'`), nil
}

// headerLine is an Authorization header, or the part of it that follows its name. A line
// with a DPoP proof may stand below it.
var headerLine = lazyregexp.New(
	`(?i)^(?:authorization:\s*)?(?:(?:bearer|dpop|mtls_pop)\s+)?(\S*)(?:\r?\ndpop: \S*)?$`)

func findInJSON(text string) (string, error) {
	var response struct {
		AccessToken string `json:"access_token"`
		Azure       string `json:"accessToken"` // of az
		Status      struct {
			Token string `json:"token"` // of client.authentication.k8s.io
		} `json:"status"`
	}
	err := json.Unmarshal([]byte(text), &response)
	var wrongType *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrongType) {
		return "", failure.Errorf("this is no JWT: it begins as JSON and is broken")
	}
	token := cmp.Or(response.AccessToken, response.Azure, response.Status.Token)
	if token == "" {
		return "", failure.Errorf("this is JSON without an access_token")
	}
	return token, nil
}

// Is reports whether a text has the form of a signed JWT, whatever is in it.
func Is(text string) bool { return form().MatchString(text) }

var form = lazyregexp.New(`^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$`)

// Split reads a JWT in compact form (RFC 7515 §7.1).
func Split(text string) (*Parts, error) {
	segments := strings.Split(text, ".")
	switch {
	case text == "":
		return nil, failure.Errorf("the input is empty").
			Advise("Pipe a token into it: certtoken token … | certtoken decode")
	case len(segments) == 5:
		return nil, failure.Errorf("this is an encrypted token (JWE), which only its recipient can read")
	case len(segments) != 3:
		return nil, failure.Errorf("this is no JWT: it has %d parts instead of 3", len(segments)).
			Advise("Some servers grant opaque tokens, which only they can read.")
	}
	header, err := object(segments[0], "header")
	if err != nil {
		return nil, err
	}
	claims, err := object(segments[1], "claims")
	if err != nil {
		return nil, err
	}
	return &Parts{header, claims}, nil
}

func object(segment, part string) (json.RawMessage, error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	if err != nil {
		return nil, failure.Errorf("this is no JWT: its %s part isn't base64url", part)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return nil, failure.Errorf("this is no JWT: its %s part isn't a JSON object", part)
	}
	if !isShowable(data) {
		return nil, failure.Errorf("the token's %s part can't be shown: its values are nested too deeply", part)
	}
	return data, nil
}

const (
	// maxDepth is how many objects and arrays may be in each other. A token that
	// a program can use has four or five.
	maxDepth = 64

	// maxIndent is how many blanks the indented form may have. Every value of a
	// deep array takes a line of its own, which begins with as many blanks as the
	// array is deep.
	maxIndent = 8 << 20

	// indentWidth is how many blanks each level has where the JSON is printed.
	indentWidth = 2
)

// isShowable reports whether valid JSON stays small when it is indented.
func isShowable(data []byte) bool {
	depth, blanks, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++ // what is escaped ends no string
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			blanks += indentWidth * depth
		case c == '}' || c == ']':
			depth--
			blanks += indentWidth * depth
		case c == ',':
			blanks += indentWidth * depth
		}
		if depth > maxDepth || blanks > maxIndent {
			return false
		}
	}
	return true
}

var timeLine = lazyregexp.New(
	`^  "(?:exp|nbf|iat|auth_time|updated_at|xms_tcdt)": (\d{1,12})(?:\.\d+)?,?$`)

// TimeClaim recognises a claim that is a NumericDate (RFC 7519 §2) in a line of
// indented JSON.
func TimeClaim(line string) (time.Time, bool) {
	m := timeLine().FindStringSubmatch(line)
	if m == nil {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// opaqueClaims are claims whose values are for somebody else than the reader of a token,
// with what they are.
var opaqueClaims = map[string]string{
	"aio":                  "Entra ID's own, of no use to others",
	"rh":                   "Entra ID's own, of no use to others",
	"uti":                  "Entra ID's own id of this token",
	"xms_ftd":              "Entra ID's own, of no use to others",
	"certtokentest_filler": "makes a test token as long as a real one",
}

var claimLine = lazyregexp.New(`^  "([a-z_]{1,32})": "`)

// ShortenOpaque cuts the value in a line of which OpaqueClaim says something.
func ShortenOpaque(line string) string {
	at := len(claimLine().FindString(line))
	if OpaqueClaim(line) == "" || len(line) <= at+maxOpaque {
		return line
	}
	comma := ""
	if strings.HasSuffix(line, ",") {
		comma = ","
	}
	return strings.ToValidUTF8(line[:at+maxOpaque], "") + `…"` + comma
}

// maxOpaque is how many bytes of a value are shown that says nothing.
const maxOpaque = 16

// OpaqueClaim says what a claim is whose value says nothing to its reader, in a line of
// indented JSON. It is "" for other lines.
func OpaqueClaim(line string) string {
	m := claimLine().FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return opaqueClaims[m[1]]
}
