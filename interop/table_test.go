package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

var update = flag.Bool("update", false, "write the tables into README.md")

// variant is a way to ask for a token.
type variant struct {
	name string
	want want
	set  func(t *testing.T, tr *trial)
}

// want is what must be so on every judge.
type want int

const (
	open    want = iota // up to the judge
	granted             // with every algorithm that the judge offers
	refused
	corrected // granted by those that say what time it is
)

var variants = []variant{
	{"as documented", granted, func(*testing.T, *trial) {}},
	{"audience: the issuer", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithAudience(tr.judge.issuer))
	}},
	{"audience: the token endpoint", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithAudience(tr.judge.tokenURL))
	}},
	{"`typ`: `JWT`", granted, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithAssertionType("JWT"))
	}},
	{"`x5t`, `x5t#S256` and `x5c`", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithThumbprintHeader(certtoken.ThumbprintBoth), certtoken.WithX5C())
	}},
	{"no thumbprint", granted, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithThumbprintHeader(certtoken.ThumbprintNone))
	}},
	{"`kid`", granted, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithKeyIDFunc(keyID))
	}},
	{"no `kid`", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithKeyID(""))
	}},
	{"`kid` that the server doesn't know", refused, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithKeyID("unknown"))
	}},
	{"two keys registered, the second signs, `kid`", granted, func(t *testing.T, tr *trial) {
		tr.keys = append([]key{keyOf(newCertificate(t, "other"))}, tr.keys...)
		tr.options = append(tr.options, certtoken.WithKeyIDFunc(keyID))
	}},
	{"two keys registered, the second signs, no `kid`", open, func(t *testing.T, tr *trial) {
		tr.keys = append([]key{keyOf(newCertificate(t, "other"))}, tr.keys...)
		tr.options = append(tr.options, certtoken.WithKeyID(""))
	}},
	{"lifetime of an hour", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithLifetime(time.Hour))
	}},
	{"clock 40 s ahead", granted, clock(40 * time.Second)},
	{"clock 15 s behind", granted, clock(-15 * time.Second)},
	{"clock a minute ahead", corrected, clock(time.Minute)},
	{"clock 45 s behind", corrected, clock(-45 * time.Second)},
	{"clock 4½ minutes ahead", corrected, clock(270 * time.Second)},
	{"clock 4½ minutes behind", corrected, clock(-270 * time.Second)},
	{"clock a minute ahead, times not set back, no correction", open, func(_ *testing.T, tr *trial) {
		tr.forge = signedAt(time.Minute, func(a *certtoken.Assertion) { a.Backdate = -1 })
	}},
	{"times set back by two minutes", open, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithBackdate(2*time.Minute))
	}},
	{"wrong key", refused, func(t *testing.T, tr *trial) {
		tr.keys[0].cert = newCertificate(t, "other") // under the name of the one that signs
	}},
	{"wrong audience", refused, func(_ *testing.T, tr *trial) {
		tr.options = append(tr.options, certtoken.WithAudience("https://other.example"))
	}},
	{"expired", refused, func(_ *testing.T, tr *trial) {
		tr.forge = signedAt(-10*time.Minute, nil)
	}},
	{"replayed", open, func(_ *testing.T, tr *trial) {
		tr.replay = true
	}},
	{"another client's assertion", refused, func(_ *testing.T, tr *trial) {
		tr.forge = signedAt(0, func(a *certtoken.Assertion) { a.ClientID = "somebody else" })
	}},
	{"unknown client", refused, func(_ *testing.T, tr *trial) {
		tr.known = false
	}},
	{"two scopes", granted, func(_ *testing.T, tr *trial) {
		tr.scopes = []string{otherScope, scope}
	}},
	{"scope of another client", open, func(_ *testing.T, tr *trial) {
		tr.scopes = []string{foreignScope}
	}},
	{"unknown scope", open, func(_ *testing.T, tr *trial) {
		tr.scopes = []string{unknownScope}
	}},
	{"a known and an unknown scope", open, func(_ *testing.T, tr *trial) {
		tr.scopes = []string{scope, unknownScope}
	}},
}

// clock has this machine's clock off by the given time. The client may correct it.
func clock(ahead time.Duration) func(*testing.T, *trial) {
	return func(_ *testing.T, tr *trial) { tr.ahead = ahead }
}

var algorithms = []certtoken.Algorithm{
	certtoken.RS256, certtoken.RS384, certtoken.RS512,
	certtoken.PS256, certtoken.PS384, certtoken.PS512,
}

// TestTable tries every variant with every algorithm on every server. README.md
// holds what came out, so that a change in a server or in the client shows.
func TestTable(t *testing.T) {
	all, whole := judgesForTable(t)
	type cell struct {
		outcome string
		err     error
	}
	cells := make([][][]cell, len(all))
	t.Run("trial", func(t *testing.T) {
		for i, j := range all {
			cells[i] = make([][]cell, len(variants))
			for k, v := range variants {
				cells[i][k] = make([]cell, len(algorithms))
				for l, alg := range algorithms {
					t.Run(strings.Join([]string{j.name, v.name, string(alg)}, "/"), func(t *testing.T) {
						t.Parallel()
						tr := newTrial(t, j, alg)
						v.set(t, tr)
						if len(tr.keys) > 1 && j.oneKey {
							cells[i][k][l] = cell{outcome: "–"}
							return
						}
						token, err := tr.run(t)
						v.check(t, tr, token, err)
						cells[i][k][l] = cell{outcome(tr, token, err), err}
					})
				}
			}
		}
	})
	if t.Failed() {
		return
	}
	if !whole {
		t.Skip("the tables have servers in them that weren't asked")
	}

	var results, texts strings.Builder
	results.WriteString("| server | variant |")
	for _, alg := range algorithms {
		fmt.Fprintf(&results, " %s |", alg)
	}
	results.WriteString("\n|---|---|" + strings.Repeat("---|", len(algorithms)) + "\n")
	texts.WriteString("| server | variant | status, error | description |\n|---|---|---|---|\n")
	for i, j := range all {
		for k, v := range variants {
			fmt.Fprintf(&results, "| %s | %s |", j.name, v.name)
			for l, alg := range algorithms {
				c := cells[i][k][l]
				fmt.Fprintf(&results, " %s |", c.outcome)
				if alg == j.best() && c.err != nil {
					fmt.Fprintf(&texts, "| %s | %s | %s | %s |\n", j.name, v.name, c.outcome, description(j, c.err))
				}
			}
			results.WriteString("\n")
		}
	}
	compareTable(t, "results", results.String())
	compareTable(t, "errors", texts.String())
}

func (v variant) check(t *testing.T, tr *trial, token *certtoken.Token, err error) {
	t.Helper()
	switch {
	case !tr.judge.offers(tr.alg):
		require.Error(t, err, "the server doesn't offer %s", tr.alg)
	case v.want == granted, v.want == corrected && !tr.judge.noDate:
		require.NoError(t, err)
		if tr.judge.allScopes {
			require.Subset(t, token.Scopes(), tr.scopes)
		} else {
			require.ElementsMatch(t, tr.scopes, token.Scopes())
		}
	case v.want == refused, v.want == corrected:
		require.Error(t, err)
	case tr.replay && !tr.judge.allowsReplays:
		require.Error(t, err, "a server that looks at jti refuses a second use")
	}
}

// outcome is a result in a word or two.
func outcome(tr *trial, token *certtoken.Token, err error) string {
	var te *certtoken.TokenError
	switch {
	case errors.As(err, &te):
		return strings.TrimSpace(fmt.Sprintf("%d %s", te.StatusCode, te.Code))
	case err != nil:
		return "?"
	case !asksTooMuch(tr.scopes):
		return "✓"
	case !asksTooMuch(token.Scopes()):
		return "✓ but for the scope"
	}
	return "✓ and silence" // no scope in the answer, which RFC 6749 §5.1 lets mean: as asked
}

// asksTooMuch reports whether the scopes include one that no client may be granted.
func asksTooMuch(scopes []string) bool {
	return slices.Contains(scopes, unknownScope) || slices.Contains(scopes, foreignScope)
}

var timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)

// description is what the server said, without what differs in each run.
func description(j *judge, err error) string {
	var te *certtoken.TokenError
	var refused *notRegistered
	var s string
	switch {
	case errors.As(err, &te):
		s = te.Description
	case errors.As(err, &refused):
		s = refused.says
	}
	s = strings.ReplaceAll(s, j.issuer, "https://server.example")
	s = timestamp.ReplaceAllString(s, "…")
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}

func thumbprint(c *certtoken.Certificate) string {
	sum := sha256.Sum256(c.Leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// compareTable holds a table against the one in README.md, or writes it.
func compareTable(t *testing.T, name, table string) {
	t.Helper()
	compareTableIn(t, "README.md", name, table)
}

func compareTableIn(t *testing.T, file, name, table string) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	begin, end := "<!-- "+name+": written by the test -->\n\n", "\n<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(string(data), begin)
	require.True(t, ok, "%s has no %q", file, begin)
	committed, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has no %q", file, end)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+table+end+after), 0o644))
		return
	}
	was, is := strings.Split(committed, "\n"), strings.Split(table, "\n")
	for i := range max(len(was), len(is)) {
		if a, b := line(was, i), line(is, i); a != b {
			t.Errorf("%s differs (go test . -update writes it)\nhas  %s\nnow  %s", file, a, b)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// moduleVersion is that of a Go server, as this module requires it.
func moduleVersion(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(path) + ` v(\S+)`).FindSubmatch(data)
	require.NotNil(t, m, "%s is not in go.mod", path)
	return string(m[1])
}
