package jws

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMemberNames(t *testing.T) {
	for data, want := range map[string][]string{
		`{}`:                             nil,
		`{"a":1,"b":{"c":[2]},"a":null}`: {"a", "b", "a"},
	} {
		names, err := MemberNames([]byte(data))
		assert.NoError(t, err, data)
		assert.Equal(t, want, names, data)
	}
	for _, data := range []string{``, `null`, `[]`, `"a"`} {
		_, err := MemberNames([]byte(data))
		assert.ErrorIs(t, err, ErrNoObject, data)
	}
	for _, data := range []string{`{"a"`, `{"a":}`, `{1:2}`, `{"a":1,`} {
		_, err := MemberNames([]byte(data))
		assert.Error(t, err, data)
	}
}
