package certtoken_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

var (
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`(?:\\s\\(([a-z0-9/]+)\\))?")
	declaredTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(\w+ \*testing\.[TF]\)`)
)

// Each claim of SECURITY.md names a test, each test that it names exists in the folder
// that it says, and test.sh checks in the end that these tests ran and passed.
func TestSecurityClaimsHaveTests(t *testing.T) {
	declared := map[string]bool{}
	walk(t, ".go", func(file, text string) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range declaredTest.FindAllStringSubmatch(text, -1) {
				declared[path.Join(path.Dir(file), m[1])] = true
			}
		}
	})
	data, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	text := string(data)
	named := namedTest.FindAllStringSubmatch(text, -1)
	require.Greater(t, len(named), 60)
	for _, m := range named {
		assert.True(t, declared[path.Join(m[2], m[1])],
			"SECURITY.md names %s, which isn't in folder %q", m[1], filepath.Join(".", m[2]))
	}
	rows := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| shown by |\n") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		require.Len(t, cells, 3, line)
		assert.Regexp(t, namedTest, cells[2], "this claim names no test: %s", line)
	}
	assert.Greater(t, rows, 60)

	// Whether they ran is known when all modules have been tested.
	script, err := os.ReadFile("test.sh")
	require.NoError(t, err)
	assert.Contains(t, string(script), `"$work/ran" claims "$work/record" SECURITY.md "$@"`)
}

// Neither the endpoint's cookies nor those of the user's client are sent to it.
func TestCookiesAreNotKept(t *testing.T) {
	const endpoint = "https://login.microsoftonline.com/"
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	at, err := url.Parse(endpoint)
	require.NoError(t, err)
	jar.SetCookies(at, []*http.Cookie{{Name: "theirs", Value: "1"}})
	sent := 0
	r := newRig(t)
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		assert.Empty(t, req.Header.Values("Cookie"))
		resp, err := r.server.Transport().RoundTrip(req)
		if resp != nil {
			resp.Header.Set("Set-Cookie", "track=1; Path=/")
		}
		return resp, err
	})
	client, err := certtoken.NewClient(r.server.Authority(), appID, r.cert,
		certtoken.WithHTTPClient(&http.Client{Transport: base, Jar: jar}))
	require.NoError(t, err)
	defer client.Close()
	for _, scope := range []string{graph, vault} {
		_, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
	}
	assert.Equal(t, 2, sent)
	assert.Len(t, jar.Cookies(at), 1, "the user's jar is left alone")
}
