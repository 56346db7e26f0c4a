package jwt

import (
	"encoding/base64"
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

// Indented, a deep value would be many times as large as the token.
func TestReadDeep(t *testing.T) {
	nested := func(depth int, inside string) string {
		return `{"k":` + strings.Repeat("[", depth-1) + inside + strings.Repeat("]", depth-1) + `}`
	}
	objects := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	for name, c := range map[string]struct {
		json string
		ok   bool
	}{
		"as deep as allowed":    {nested(maxDepth, `"a"`), true},
		"one deeper":            {nested(maxDepth+1, ""), false},
		"arrays":                {nested(9000, ""), false},
		"objects":               {objects, false},
		"many values, deep":     {nested(40, strings.Repeat("1,", 300_000)+"1"), false},
		"many values, not deep": {nested(2, strings.Repeat("1,", 300_000)+"1"), true},
		"brackets in a string":  {`{"k":"` + strings.Repeat("[", 1000) + `"}`, true},
		"behind a quoted quote": {`{"k":"\"` + strings.Repeat("[", 1000) + `"}`, true},
		"behind a quoted escape": {
			`{"a":"\\\\","k":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, false,
		},
		"many values in a string": {`{"k":"` + strings.Repeat(",", 300_000) + `"}`, true},
	} {
		segment := base64.RawURLEncoding.EncodeToString([]byte(c.json))
		for part, text := range map[string]string{
			"header": segment + "." + claims + ".", "claims": header + "." + segment + ".",
		} {
			_, err := Read(text)
			if c.ok && err != nil {
				t.Errorf("%s, %s: %v", name, part, err)
			}
			if !c.ok && (err == nil || !strings.Contains(err.Error(), part+" part can't be shown")) {
				t.Errorf("%s, %s: %v", name, part, err)
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

// A token is found in what programs print, also if it is no JWT.
func TestFind(t *testing.T) {
	for text, want := range map[string]string{
		"opaque":                                "opaque",
		" opaque\r\n":                           "opaque",
		"Bearer opaque":                         "opaque",
		"Authorization: DPoP a.b.c\nDPoP: p":    "a.b.c",
		"authorization: mtls_pop a.b.c":         "a.b.c",
		`"opaque"`:                              "opaque",
		`{"access_token":"a"}`:                  "a",
		`{"accessToken":"a","expires_on":1}`:    "a",
		`{"status":{"token":"a"}}`:              "a",
		`{"status":"ok","access_token":"a"}`:    "a",
		"":                                      "",
		"two words":                             "two words",
		"Authorization: Bearer":                 "Bearer",
		"Authorization: Bearer a\nX-Other: b":   "Authorization: Bearer a\nX-Other: b",
		`{"access_token":"a","accessToken":""}`: "a",
	} {
		if got, err := Find(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"{", "{}", `{"access_token":""}`, `{"access_token":{}}`, strings.Repeat("a", MaxSize+1),
	} {
		if got, err := Find(text); err == nil {
			t.Errorf("%.40q: %q", text, got)
		}
	}
}

// A JWT as an argument is told from the name of a file.
func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		header + "." + claims + ".c2ln": true,
		header + "." + claims + ".":     true,
		"token.txt":                     false,
		"eyJ":                           false,
		"eyJ.tar.gz/x":                  false,
		"-":                             false,
		"":                              false,
	} {
		if Is(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestOpaqueClaim(t *testing.T) {
	long := strings.Repeat("a", 40)
	for line, want := range map[string]string{
		`  "aio": "` + long + `",`:                 `  "aio": "aaaaaaaaaaaaaaaa…",`,
		`  "certtokentest_filler": "` + long + `"`: `  "certtokentest_filler": "aaaaaaaaaaaaaaaa…"`,
		`  "aio": "short"`:                         `  "aio": "short"`,
		`  "aud": "` + long + `"`:                  `  "aud": "` + long + `"`,
		`    "aio": "` + long + `"`:                `    "aio": "` + long + `"`,
		`  "aio": 7`:                               `  "aio": 7`,
	} {
		if got := ShortenOpaque(line); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	if OpaqueClaim(`  "aio": "x"`) == "" || OpaqueClaim(`  "aud": "x"`) != "" {
		t.Error("aio is opaque, aud isn't")
	}
}
