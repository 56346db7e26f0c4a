package jwk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// maxList bounds lists of strings.
const maxList = 32

// object is a JSON object. Names are compared exactly, and none stands twice: RFC 7517 §4
// leaves the choice, and encoding/json alone would let "D" overwrite "d".
type object map[string]json.RawMessage

// readObject reads a JSON object. Errors of encoding/json may quote the input, so they
// aren't passed on.
func readObject(data []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, formatError("it is not a JSON object")
	}
	members := make(object)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, formatError("its JSON is damaged")
		}
		if members.has(name) {
			return nil, formatError("a member stands in it twice")
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, formatError("its JSON is damaged")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, formatError("its JSON is damaged")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, formatError("something stands behind its JSON")
	}
	return members, nil
}

func (o object) has(name string) bool {
	_, ok := o[name]
	return ok
}

// text reads a member that is a string. Without the member it is "".
func (o object) text(name string) (string, error) {
	raw, ok := o[name]
	if !ok {
		return "", nil
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return "", formatError("its member %s is not a string", name)
	}
	return *text, nil
}

// texts reads a member that is a list of strings, which may be absent.
func (o object) texts(name string) ([]string, error) {
	raw, ok := o[name]
	if !ok {
		return nil, nil
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || len(list) > maxList {
		return nil, formatError("its member %s is not a list of at most %d strings", name, maxList)
	}
	texts := make([]string, 0, len(list))
	for _, text := range list {
		if text == nil {
			return nil, formatError("its member %s is not a list of strings", name)
		}
		texts = append(texts, *text)
	}
	return texts, nil
}

// octets reads a member in base64url that must be there, of at most limit bytes.
func (o object) octets(name string, limit int) ([]byte, error) {
	text, err := o.text(name)
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return nil, formatError("its member %s is missing or empty", name)
	case base64.RawURLEncoding.DecodedLen(len(text)) > limit:
		return nil, formatError("its member %s has over %d bytes", name, limit)
	case strings.ContainsAny(text, "\r\n"): // which encoding/base64 ignores
		return nil, notBase64URL(name)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, notBase64URL(name)
	}
	return data, nil
}

func notBase64URL(name string) error {
	return formatError("its member %s is not base64url without padding", name)
}
