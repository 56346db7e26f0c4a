package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var pageDay = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func pageOf(t *testing.T, cmd *cobra.Command) string {
	t.Helper()
	var b bytes.Buffer
	writePage(&b, cmd, pageDay)
	return b.String()
}

// A page has all that the command's help has.
func TestManPagesAreWhole(t *testing.T) {
	pages := 0
	visit(newRoot(testConsole(t)), func(cmd *cobra.Command) {
		pages++
		page := pageOf(t, cmd)
		for _, want := range []string{
			".TH " + strings.ToUpper(pageName(cmd)) + " 1 2026-01-02 ",
			".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH EXAMPLES\n", ".SH EXIT STATUS\n.TP\n.B 0\n",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q in the page", cmd.CommandPath(), want)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if shown := strings.Contains(page, `\fB\-\-`+roff(f.Name)+`\fR`); shown == f.Hidden {
				t.Errorf("%s: --%s is in the page: %v", cmd.CommandPath(), f.Name, shown)
			}
		})
	})
	if pages < 14 {
		t.Errorf("only %d pages", pages)
	}
}

// The variables in the README's table are in the page, and no others.
func TestManPageEnvironment(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| variable |")
	table, _, _ = strings.Cut(table, "\n\n")
	var want []string
	for _, m := range regexp.MustCompile("(?m)^\\| (`[A-Z].*?`) \\|").FindAllStringSubmatch(table, -1) {
		want = append(want, strings.ReplaceAll(m[1], "`", ""))
	}
	var have []string
	for _, v := range manualVariables {
		have = append(have, v.names)
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("the page has %q, the README %q", have, want)
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"plain":       "plain",
		".br":         `\&.br`,
		"'quoted'":    `\&'quoted'`,
		`a \ b`:       `a \e b`,
		"--flag":      `\-\-flag`,
		"two\nlines":  "two lines",
		"command …":   `command \&...`,
		"1s – 1h, .x": `1s \(en 1h, .x`,
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}

// Both readers of man pages that people have find nothing to complain of.
func TestManPagesAreClean(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1767323045")
	if status := execute(t.Context(), testConsole(t), []string{"man", dir}); status != 0 {
		t.Fatalf("status %d", status)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 14 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, reader := range [][]string{
		{"mandoc", "-T", "lint", "-W", "warning"},
		{"groff", "-man", "-Tutf8", "-ww", "-z"},
	} {
		t.Run(reader[0], func(t *testing.T) {
			if _, err := exec.LookPath(reader[0]); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s is not installed, and CI=true", reader[0])
				}
				t.Skipf("%s is not installed", reader[0])
			}
			out, err := exec.Command(reader[0], append(reader[1:], pages...)...).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A page's day is the release's, so that two builds are the same.
func TestManPageDay(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767323045")
	day, err := pageDate()
	if err != nil || !day.Equal(pageDay) {
		t.Errorf("%v, %v", day, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := pageDate(); err == nil || exitStatus(err) != 2 {
		t.Errorf("%v", err)
	}
}
