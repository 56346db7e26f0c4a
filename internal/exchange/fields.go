package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// fields are the members of a JSON object, or the values of a form.
type fields map[string]json.RawMessage

// readFields reads a body as JSON, or as a form where the Content-Type says so.
func readFields(resp *http.Response, body []byte) (fields, error) {
	body = withoutBOM(body)
	f, err := readObject(body)
	if err != nil && mediaType(resp) == "application/x-www-form-urlencoded" {
		return readForm(body)
	}
	return f, err
}

// withoutBOM takes away the mark by which some programs begin UTF-8.
func withoutBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) }

func readObject(body []byte) (fields, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if f == nil {
		return nil, errors.New("it is null")
	}
	return f, nil
}

func readForm(body []byte) (fields, error) {
	values, err := url.ParseQuery(string(bytes.TrimSpace(body)))
	if err != nil {
		return nil, errors.New("it is not a form")
	}
	f := make(fields)
	for name, list := range values {
		if len(list) > 1 && name == "access_token" {
			return nil, errors.New("it has several access tokens")
		}
		if f[name], err = json.Marshal(list[0]); err != nil {
			return nil, errors.New("it is not a form")
		}
	}
	return f, nil
}

// text is a string field without the white space around it, which some servers
// leave there. Anything else counts as absent.
func (f fields) text(name string) string {
	raw := f[name]
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	s, ok := plain(raw)
	if !ok && json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// plain returns a JSON string that has nothing to decode, as an access token has
// not. The value was validated when the answer was read as JSON, and looking
// through a long token once more would be a tenth of what an exchange costs.
func plain(valid json.RawMessage) (string, bool) {
	if bytes.IndexByte(valid, '\\') >= 0 || !utf8.Valid(valid) {
		return "", false
	}
	return string(valid[1 : len(valid)-1]), true
}

// has reports whether there is something in a field.
func (f fields) has(name string) bool {
	switch string(f[name]) {
	case "", "null", `""`, "false", "0", "[]", "{}":
		return false
	}
	return true
}
