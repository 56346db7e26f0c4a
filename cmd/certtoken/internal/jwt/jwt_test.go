package jwt

import (
	"strings"
	"testing"
	"time"
)

const (
	header = "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	claims = "eyJhdWQiOiJhIn0"     // {"aud":"a"}
)

func TestRead(t *testing.T) {
	for _, text := range []string{
		header + "." + claims + ".c2ln",
		header + "." + claims + ".",
		header + "=." + claims + "=.c2ln",
		"  " + header + "." + claims + ".c2ln\r\n",
		"Bearer " + header + "." + claims + ".c2ln",
		"authorization: bearer " + header + "." + claims + ".c2ln",
		`"` + header + "." + claims + `.c2ln"`,
		`{"access_token":"` + header + "." + claims + `.c2ln","expires_in":1}`,
		"\ufeff" + `{"access_token":"` + header + "." + claims + `.c2ln"}`,
	} {
		parts, err := Read(text)
		if err != nil || string(parts.Header) != `{"alg":"none"}` || string(parts.Claims) != `{"aud":"a"}` {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An error says what it is instead, and repeats nothing of it.
func TestReadErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "empty",
		" \n":                            "empty",
		header + "." + claims:            "2 parts instead of 3",
		header + "." + claims + ".a.b.c": "encrypted token",
		"opaque":                         "1 parts instead of 3",
		header + "." + claims + ".a.b":   "4 parts instead of 3",
		"!." + claims + ".c2ln":          "header part isn't base64url",
		header + ".!.c2ln":               "claims part isn't base64url",
		"W10." + claims + ".c2ln":        "header part isn't a JSON object",
		header + ".bnVsbA.c2ln":          "claims part isn't a JSON object",
		"{":                              "begins as JSON and is broken",
		`{"token":"x"}`:                  "without an access_token",
		strings.Repeat("a", MaxSize+1):   "over 1048576 bytes",
	} {
		_, err := Read(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
			continue
		}
		for _, part := range []string{header, claims} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%.40q: %v", text, err)
			}
		}
	}
}

func TestTimeClaim(t *testing.T) {
	for line, want := range map[string]int64{
		`  "exp": 1700000000,`:              1700000000,
		`  "iat": 1700000000`:               1700000000,
		`  "nbf": 1700000000.5,`:            1700000000,
		`  "exp": "1700000000",`:            0,
		`    "exp": 1700000000,`:            0,
		`  "size": 1700000000,`:             0,
		`  "exp": 17000000000000000000000,`: 0,
	} {
		got, ok := TimeClaim(line)
		if ok != (want != 0) || ok && !got.Equal(time.Unix(want, 0)) {
			t.Errorf("%s: %v, %v", line, got, ok)
		}
	}
}
