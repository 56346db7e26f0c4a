package main

import (
	"io"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// openFlags are flags whose usage lists examples or bounds, and whose values nobody knows.
var openFlags = map[string]bool{
	"tenant": true, "client": true, "jwks-uri": true, "proof-for": true, "lifetime": true, "backdate": true,
	"subject": true, "cert": true, "audience": true,
}

// Flags whose usage lists their values complete them.
func TestFlagsWithKnownValuesAreCompleted(t *testing.T) {
	found := 0
	visit(newRoot(testConsole(t)), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			_, listed, ok := strings.Cut(usage, ": ")
			if !ok || openFlags[f.Name] || !strings.Contains(listed, ", ") || !strings.Contains(listed, " or ") {
				return
			}
			found++
			if _, known := cmd.GetFlagCompletionFunc(f.Name); !known {
				t.Errorf("%s --%s: %s", cmd.CommandPath(), f.Name, usage)
			}
		})
	})
	if found < 10 {
		t.Errorf("only %d flags found", found)
	}
}

// What is completed to is taken: a value that the command refuses is of no help.
func TestCompletedValuesAreTaken(t *testing.T) {
	for _, alg := range algorithms {
		if string(algorithm(strings.ToLower(alg))) != alg {
			t.Errorf("--alg %s", alg)
		}
	}
	for _, word := range faultWords() {
		value := map[string]string{
			"throttle:": "2s", "status:": "500", "aadsts:": "700027", "error:": "invalid_client", "delay:": "1s",
			"redirect:": "https://idp.example/",
		}[word]
		if _, err := parseFault(word + value); err != nil {
			t.Errorf("--fail %s%s: %v", word, value, err)
		}
	}
	for _, format := range outputFormats {
		if err := (&tokenOutput{format: format}).resolve(); err != nil {
			t.Errorf("--output %s: %v", format, err)
		}
	}
	for shell := range shells {
		if !strings.Contains(completions(t, "agent", "env", "x", "--shell", ""), shell) {
			t.Errorf("--shell %s", shell)
		}
	}
}

func completions(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	root := newRoot(console.With(nil, &out, t.Output()))
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{"__complete"}, args...))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
