package syntax

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Each text that is checked by hand is one that a regular expression describes, also at
// the bounds of its length.
func TestTextsAreThoseOfAnExpression(t *testing.T) {
	const label = `[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?`
	for what, c := range map[string]struct {
		is      func(string) bool
		pattern string
	}{
		"GUID":   {IsGUID, `^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`},
		"label":  {IsLabel, `^` + label + `$`},
		"policy": {IsPolicy, `^[0-9A-Za-z_-]{1,128}$`},
		"region": {IsRegion, `^[0-9a-z]{2,40}$`},
		"domain": {isDomain, `^(` + label + `\.)+[A-Za-z][0-9A-Za-z-]{0,61}[0-9A-Za-z]$`},
	} {
		pattern := regexp.MustCompile(c.pattern)
		accepted := 0
		r := rand.New(rand.NewPCG(1, 2))
		for range 50_000 {
			text := randomName(r)
			want := pattern.MatchString(text)
			if want {
				accepted++
			}
			if !assert.Equal(t, want, c.is(text), "%s %q", what, text) {
				break
			}
		}
		assert.Greater(t, accepted, 100, "%s: nearly nothing was one", what)
	}
}

// randomName is a GUID, labels with dots, or a long word, often with a mistake.
func randomName(r *rand.Rand) string {
	const letters = "azAZ09fFgG-"
	word := func(n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = letters[r.IntN(len(letters)-r.IntN(2))]
		}
		return string(text)
	}
	text := ""
	switch r.IntN(4) {
	case 0:
		text = "0123abcd-4567-89AB-cdef-0123456789ab"
	case 1:
		labels := make([]string, 1+r.IntN(4))
		for i := range labels {
			labels[i] = word(r.IntN(4))
		}
		text = strings.Join(labels, ".")
	case 2:
		text = word([]int{0, 1, 2, 3, 39, 40, 41, 61, 62, 63, 64, 127, 128, 129}[r.IntN(14)])
	case 3:
		text = "a." + word(60+r.IntN(5))
	}
	if text == "" || r.IntN(3) > 0 {
		return text
	}
	at := r.IntN(len(text))
	return text[:at] + []string{"", "-", ".", "_", "\n", "é", "\x00", "g", "--"}[r.IntN(9)] + text[at+r.IntN(2):]
}
