// Package jwt takes a JWT apart for display. It checks no signature, and its
// errors repeat nothing of the token.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// MaxSize is how many bytes are read. A token of this size fits into no header
// of any server.
const MaxSize = 1 << 20

// Parts are the two parts of a JWT that say something.
type Parts struct {
	Header json.RawMessage `json:"header"`
	Claims json.RawMessage `json:"claims"`
}

// Read reads a JWT, or the access_token of a token response (RFC 6749 §5.1).
func Read(text string) (*Parts, error) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if !strings.HasPrefix(trimmed, "{") || len(text) > MaxSize {
		return Split(text)
	}
	var response map[string]json.RawMessage
	if json.Unmarshal([]byte(trimmed), &response) != nil {
		return nil, failure.Errorf("this is no JWT: it begins as JSON and is broken")
	}
	var token string
	if json.Unmarshal(response["access_token"], &token) != nil || token == "" {
		return nil, failure.Errorf("this is JSON without an access_token")
	}
	return Split(token)
}

// Split reads a JWT in compact form (RFC 7515 §7.1), alone or in an
// Authorization header.
func Split(text string) (*Parts, error) {
	text = bearerPrefix.ReplaceAllString(strings.TrimSpace(text), "")
	text = strings.Trim(text, `"'`)
	segments := strings.Split(text, ".")
	switch {
	case text == "":
		return nil, failure.Errorf("standard input is empty").
			Advise("Pipe a token into it: certtoken token … | certtoken decode")
	case len(text) > MaxSize:
		return nil, failure.Errorf("standard input has over %d bytes", MaxSize)
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

var bearerPrefix = regexp.MustCompile(`(?i)^(authorization:\s*)?(bearer\s+)?`)

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

var timeLine = regexp.MustCompile(
	`^  "(?:exp|nbf|iat|auth_time|updated_at|xms_tcdt)": (\d{1,12})(?:\.\d+)?,?$`)

// TimeClaim recognises a claim that is a NumericDate (RFC 7519 §2) in a line of
// indented JSON.
func TimeClaim(line string) (time.Time, bool) {
	m := timeLine.FindStringSubmatch(line)
	if m == nil {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	return time.Unix(seconds, 0), err == nil
}
