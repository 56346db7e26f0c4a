package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every dependency stands in the document, with a licence that is allowed.
func TestDependenciesAreListed(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	written, err := os.ReadFile(filepath.Join(root, document))
	require.NoError(t, err)

	inv, err := take(root)
	require.NoError(t, err)
	assert.Empty(t, inv.mistakes())
	inv.newest, inv.asked = remembered(string(written))
	for id := range inv.users() {
		assert.Contains(t, inv.newest, inv.deps[id].Path, "go run ./release/dependencies")
	}
	assert.Equal(t, inv.render(), string(written), "go run ./release/dependencies")
}

func TestMistakes(t *testing.T) {
	needs := func(path string) own {
		return own{Path: path, Requires: []requirement{{Path: "example.com/dep", Version: "v1.0.0"}}}
	}
	for _, c := range []struct {
		name, module, licence string
		npm                   string
		wrong                 int
	}{
		{name: "allowed", module: prefix + "/ext/certtokenotel", licence: "MIT", npm: "MIT"},
		{name: "two, both allowed", module: prefix, licence: "Apache-2.0 AND MIT", npm: "ISC"},
		{name: "two, one not allowed", module: prefix, licence: "MIT AND MPL-2.0", npm: "MIT", wrong: 1},
		{name: "in tests only, published", module: prefix + "/cmd/certtoken", licence: "MPL-2.0", npm: "MIT", wrong: 1},
		{name: "in tests only, not published", module: prefix + "/interop", licence: "MPL-2.0", npm: "MIT"},
		{name: "nowhere", module: prefix + "/bench", licence: "AGPL-3.0-only", npm: "MIT", wrong: 1},
		{name: "no entry", module: prefix, licence: "", npm: "MIT", wrong: 1},
		{name: "npm", module: prefix, licence: "MIT", npm: "", wrong: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := inventory{
				modules: []own{needs(c.module)},
				deps:    map[string]dependency{"example.com/dep@v1.0.0": {Licence: c.licence}},
				npm:     map[string]map[string]int{"interop/server": {c.npm: 1}},
			}
			assert.Len(t, inv.mistakes(), c.wrong)
		})
	}
}

// A requirement that is new or changed makes another document.
func TestChangesShow(t *testing.T) {
	of := func(requires ...requirement) string {
		inv := inventory{
			modules: []own{{Path: prefix, Requires: requires}},
			deps: map[string]dependency{
				"example.com/a@v1.0.0": {"example.com/a", "v1.0.0", "MIT", "2026-01-02"},
				"example.com/a@v1.1.0": {"example.com/a", "v1.1.0", "MIT", "2026-02-03"},
				"example.com/b@v0.1.0": {"example.com/b", "v0.1.0", "ISC", "2026-03-04"},
			},
			newest: map[string]string{"example.com/a": "v1.1.0, 2026-02-03", "example.com/b": "v0.1.0, 2026-03-04"},
			asked:  "2026-04-05",
		}
		return inv.render()
	}
	a := requirement{Path: "example.com/a", Version: "v1.0.0", Built: true}
	newer, indirect, tested := a, a, a
	newer.Version, indirect.Indirect, tested.Built = "v1.1.0", true, false
	b := requirement{Path: "example.com/b", Version: "v0.1.0"}

	documents := []string{of(a), of(newer), of(indirect), of(tested), of(a, b), of()}
	for i, one := range documents {
		for _, other := range documents[i+1:] {
			assert.NotEqual(t, one, other)
		}
	}
	newest, asked := remembered(of(a, b))
	assert.Equal(
		t,
		map[string]string{"example.com/a": "v1.1.0, 2026-02-03", "example.com/b": "v0.1.0, 2026-03-04"},
		newest,
	)
	assert.Equal(t, "2026-04-05", asked)
}
