// Package examples holds whole programs; its tests run those that need nothing
// from outside.
package examples

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/secrettest"
)

func TestPrograms(t *testing.T) {
	for program, want := range map[string][]string{
		"./quickstart": {"public.cer", "private.pfx", "exchanged for a token", "from the cache", "200 OK",
			"certificate in, token out"},
		"./customsource": {"there is a token: certtoken.Token(Bearer"},
	} {
		t.Run(program, func(t *testing.T) {
			out, err := exec.Command("go", "run", program).CombinedOutput()
			require.NoError(t, err, "%s", out)
			for _, part := range want {
				assert.Contains(t, string(out), part)
			}
			assert.False(t, secrettest.BeginsJWT(string(out)), "no token is printed")
		})
	}
}
