package exchange

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A string without anything to decode is read by a shorter way, and what is read
// must be the same.
func FuzzText(f *testing.F) {
	for _, seed := range []string{
		``, `""`, `"a"`, `" a "`, `"eyJ0eXAiOiJKV1QifQ.e30.c2ln"`, `"a\"b"`, `"\\"`, `"\u0041"`, `"ä€😀"`, `"\ud83d\ude00"`,
		`"\ud83d"`, "\"\xff\"", "\"a\x7f\"", "\"\u2028\"", `null`, `true`, `17`, `{"a":"b"}`, `["a"]`, `"`, `"a`, "\"\n\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		read, err := readObject([]byte(`{"field":` + value + `}`))
		if err != nil {
			return
		}
		var want string
		if json.Unmarshal(read["field"], &want) != nil {
			want = ""
		}
		assert.Equal(t, strings.TrimSpace(want), read.text("field"))
	})
}
