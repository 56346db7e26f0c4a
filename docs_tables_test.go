package certtoken_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const troubleshooting = "docs/troubleshooting.md"

// The tables of docs/troubleshooting.md are those of internal/advice.
func TestTroubleshooting(t *testing.T) {
	entra, oauth := certtoken.Refusals()
	require.Greater(t, len(entra), 40)
	require.NotEmpty(t, oauth)
	for name, table := range map[string]string{"aadsts": aadstsTable(entra), "oauth": oauthTable(oauth)} {
		checkTable(t, troubleshooting, name, table)
	}
}

// Codes that the page speaks of are in its table: one that internal/advice forgets
// isn't explained any more either.
func TestTroubleshootingKnowsItsCodes(t *testing.T) {
	known := map[int]bool{}
	entra, _ := certtoken.Refusals()
	for _, r := range entra {
		known[r.AADSTS] = true
	}
	code := regexp.MustCompile(`AADSTS(\d+)`)
	walk(t, ".md", func(path, text string) {
		if !strings.HasPrefix(path, "docs/") {
			return
		}
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			assert.True(t, known[n], "%s speaks of %s, which has no advice", path, m[0])
		}
	})
}

func aadstsTable(refusals []certtoken.Refusal) string {
	var b strings.Builder
	b.WriteString("| code | what to do | what the client does by itself |\n|---|---|---|\n")
	for _, r := range refusals {
		fmt.Fprintf(&b, "| AADSTS%d | %s | %s |\n", r.AADSTS, whatToDo(r), remedy(r))
	}
	return b.String()
}

// whatToDo is the advice, and where it is another one.
func whatToDo(r certtoken.Refusal) string {
	text := r.Advice
	for _, other := range []struct{ where, advice string }{
		{"For a user's grant", r.User},
		{"For JWTBearer", r.Signed},
		{"For TokenExchange", r.Exchange},
		{"For a certificate in TLS", r.TLS},
		{"For an assertion from elsewhere", r.Others},
	} {
		if other.advice != "" {
			text += ". **" + other.where + "**: " + other.advice
		}
	}
	return text
}

func remedy(r certtoken.Refusal) string {
	var does []string
	if r.Clock {
		does = append(does, "follows the server's clock")
	}
	if r.Certificate {
		does = append(does, "looks for another certificate")
	}
	if r.Mismatch {
		does = append(does, "gets another assertion")
	}
	if r.Temporary {
		does = append(does, "asks again")
	}
	return strings.Join(does, "; ")
}

func oauthTable(refusals []certtoken.Refusal) string {
	var b strings.Builder
	b.WriteString("| error | what to do |\n|---|---|\n")
	for _, r := range refusals {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Code, whatToDo(r))
	}
	return b.String()
}

// checkTable compares the table between two marks of a document with the one
// that it should be, or with -update writes it.
func checkTable(t *testing.T, path, name, table string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)(<!-- ` + name + `: [^\n]*\n)(.*?)(<!-- /` + name + ` -->)`)
	found := section.FindStringSubmatch(string(data))
	require.NotNil(t, found, "%s has a place for the table %s", path, name)
	if *update {
		text := strings.Replace(string(data), found[0], found[1]+"\n"+table+"\n"+found[3], 1)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	assert.Equal(t, "\n"+table+"\n", found[2], "go test -run TestTroubleshooting -update .")
}

// docs/observability.md has every message of the log, to the letter.
func TestDocumentedLogMessages(t *testing.T) {
	code, err := os.ReadFile("hooks.go")
	require.NoError(t, err)
	page, err := os.ReadFile("docs/observability.md")
	require.NoError(t, err)
	said := messages(`"(certtoken: [^"]+)"`, string(code))
	require.Greater(t, len(said), 8)
	assert.ElementsMatch(t, said, messages("\\| `(certtoken: [^`]+)` \\|", string(page)))
}

func messages(pattern, text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// Links into a document lead to one of its headings.
func TestDocumentedHeadingsExist(t *testing.T) {
	headings := map[string]map[string]bool{}
	walk(t, ".md", func(path, text string) {
		headings[path] = map[string]bool{}
		for _, title := range messages(`(?m)^#+ (.+)$`, text) {
			headings[path][anchor(title)] = true
		}
	})
	link := regexp.MustCompile(`\]\(([^)#:\s]*)#([^)]+)\)`)
	walk(t, ".md", func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := path
			if m[1] != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(path), m[1]))
			}
			if found, ok := headings[to]; ok {
				assert.True(t, found[m[2]], "%s links to #%s, which %s hasn't got", path, m[2], to)
			}
		}
	})
}

// anchor is a heading as links name it.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, title)
}
