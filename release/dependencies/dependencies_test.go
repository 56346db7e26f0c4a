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
		{name: "allowed", module: prefix + "/ext/otel", licence: "MIT", npm: "MIT"},
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

func TestClassify(t *testing.T) {
	const (
		mit = `Permission is hereby granted, free of charge, to any person obtaining a copy
			of this software and associated documentation files (the "Software")`
		bsd2 = `Redistribution and use in source and binary forms, with or without
			modification, are permitted provided that the following conditions are met:`
		bsd3   = bsd2 + ` Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products derived from this software`
		apache = "Apache License\n Version 2.0, January 2004"
		mpl    = `Mozilla Public License, version 2.0 ... means either the GNU General Public License, Version 2.0, the GNU
			Lesser General Public License, Version 2.1, the GNU Affero General Public License, Version 3.0, or any later versions`
	)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"MIT", mit, []string{"MIT"}},
		{"BSD with two clauses", bsd2, []string{"BSD-2-Clause"}},
		{"BSD with three clauses", bsd3, []string{"BSD-3-Clause"}},
		{"BSD with four clauses", bsd3 + " All advertising materials mentioning features", nil},
		{"Apache", apache, []string{"Apache-2.0"}},
		{"two in one file", mit + apache, []string{"Apache-2.0", "MIT"}},
		{"MPL", mpl, []string{"MPL-2.0"}},
		{"MPL and GPL", mpl + "GNU General Public License, Version 3", nil},
		{"GPL", "GNU GENERAL PUBLIC LICENSE Version 3", nil},
		{"MIT or GPL", mit + "GNU General\nPublic License", nil},
		{"Commons Clause", mit + ` "Commons Clause" License Condition v1.0`, nil},
		{"Business Source", "Business Source License 1.1", nil},
		{"not for commerce", mit + " for non-commercial use only", nil},
		{"a sentence", "All rights reserved.", nil},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := classify(c.text)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.want == nil, err != nil)
		})
	}
}

func TestLicenceFiles(t *testing.T) {
	const isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"one", map[string]string{"LICENSE": isc}, "ISC"},
		{"another name", map[string]string{"Licence.md": isc}, "ISC"},
		{
			"two", map[string]string{"LICENSE-APACHE": "Apache License Version 2.0, January 2004", "COPYING": isc},
			"Apache-2.0 AND ISC",
		},
		{"one isn't known", map[string]string{"LICENSE": isc, "LICENSE.other": "mine"}, ""},
		{"code", map[string]string{"license.go": "package licence"}, ""},
		{"none", map[string]string{"README.md": isc}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			got, err := licenceOf(dir)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.want == "", err != nil)
		})
	}
}
