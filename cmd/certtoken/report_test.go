package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/tpm"
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
		"no PSS; try RS256, by WithPSSFallback":         "no PSS; try RS256, by --alg RS256",
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

// Nobody who uses the command knows the options of package tpm.
func TestOptionsOfTheTPMHaveOtherNames(t *testing.T) {
	files, err := filepath.Glob("../../ext/tpm/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("package tpm isn't there: %v", err)
	}
	options := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			option, ok := decl.(*ast.FuncDecl)
			if !ok || option.Recv != nil || !strings.HasPrefix(option.Name.Name, "With") {
				continue
			}
			options++
			if got := flagNames("by " + option.Name.Name); strings.Contains(got, "With") {
				t.Errorf("%s is shown as %q", option.Name.Name, got)
			}
		}
	}
	if options < 8 {
		t.Errorf("only %d options were found", options)
	}
}

// The password of a key and that of its parent are told apart: there are flags for one.
func TestAdviceForPasswordsOfTheTPM(t *testing.T) {
	key := fmt.Errorf("%w; it isn't tried again", tpm.ErrPasswordRefused)
	parent := fmt.Errorf("%w of the parent 0x81000001; give it by WithParentPassword", tpm.ErrPasswordRefused)
	if advice := strings.Join(adviceFor(key), " "); !strings.Contains(advice, "--password-env") {
		t.Error(advice)
	}
	advice := strings.Join(adviceFor(parent), " ")
	if !strings.Contains(advice, "tpm2_changeauth") || strings.Contains(advice, "--password-env") {
		t.Error(advice)
	}
}
