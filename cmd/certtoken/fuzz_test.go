package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzDecode gives anything to certtoken decode: what is shown has no control
// characters, and an error repeats nothing of the input.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/decode/*")
	if err != nil || len(files) == 0 {
		f.Fatalf("the seeds are missing: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, input string) {
		parts, err := splitJWT(input)
		if err != nil {
			if text := strings.TrimSpace(input); len(text) > 40 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error repeats the input: %v", err)
			}
			return
		}
		for _, object := range []json.RawMessage{parts.Header, parts.Claims} {
			if !json.Valid(object) {
				t.Fatalf("no JSON: %q", object)
			}
			for _, line := range indented(object) {
				shown := printable(line)
				if i := strings.IndexFunc(shown, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }); i >= 0 {
					t.Fatalf("a control character is shown: %q", shown)
				}
				timeClaim(line)
			}
		}
	})
}

// FuzzFault gives anything to certtoken serve --fault.
func FuzzFault(f *testing.F) {
	for _, seed := range []string{"", "throttle", "429", "AADSTS700027", "delay=1s", "700027,2", "=", ",,"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, spec string) { _, _ = parseFault(spec) })
}
