package main

import (
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// What a token exchange issued that is no access token is printed, and put into no header.
func TestNoAccessTokenInAHeader(t *testing.T) {
	issued := &issuedToken{reveal: func() string { return "id-jag" }, typ: notAccess, expiresAt: time.Now()}
	for format, prints := range map[string]bool{
		outputToken: true, outputJSON: true, outputHeader: false, outputExecCredential: false,
	} {
		var out strings.Builder
		err := (&tokenOutput{format: format}).print(console.With(nil, &out, t.Output()), issued)
		if (err == nil) != prints || strings.Contains(out.String(), "id-jag") != prints {
			t.Errorf("--output %s: %v: %q", format, err, &out)
		}
	}
}
