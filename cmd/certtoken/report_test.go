package main

import (
	"fmt"
	"testing"

	"github.com/certtoken/certtoken"
)

// An error has the program's name once, in front, and names flags where the
// library names its options.
func TestHeadline(t *testing.T) {
	for text, want := range map[string]string{
		"certtoken: a.pfx: certtoken: wrong":            "a.pfx: wrong",
		"certtoken: a.pfx: wrong":                       "a.pfx: wrong",
		"a.pfx: certtoken: b: certtoken: c":             "a.pfx: b: c",
		"the password is needed: WithPassword":          "the password is needed: --password-env or --password-file",
		"several: WithThumbprint, WithThumbprintHeader": "several: --select, --thumbprint",
		"WithMTLSPoP is for the public cloud":           "--mtls is for the public cloud",
		"https://certtoken: x":                          "https://certtoken: x",
	} {
		if got, more := headline(fmt.Errorf("%s", text)); got != want || len(more) > 0 {
			t.Errorf("%q: %q, %q", text, got, more)
		}
	}
	err := fmt.Errorf("certtoken: x.key: %w: WithPassword", certtoken.ErrPasswordRequired)
	want := "x.key: " + certtoken.ErrPasswordRequired.Error() + ": --password-env or --password-file"
	if got, _ := headline(err); got != want {
		t.Error(got)
	}
}
