package jws

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrNoObject is what isn't a JSON object.
var ErrNoObject = errors.New("no object")

// MemberNames are the names of a JSON object's members. One that stands twice is there twice,
// which a map would hide. What is inside the members is left to who reads them.
func MemberNames(data []byte) (names []string, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, ErrNoObject
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		names = append(names, name)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
	}
	return names, nil
}
