package licence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		{"MPL, its own file", strings.Replace(mpl, "License, version", "License Version", 1), []string{"MPL-2.0"}},
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
	const isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without " +
		"fee is hereby granted, provided that the above copyright notice"
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
		{"one for the documents", map[string]string{"LICENSE": isc, "LICENSE.docs": "Attribution-ShareAlike"}, "ISC"},
		{"none", map[string]string{"README.md": isc}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			got, err := Of(dir)
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.want == "", err != nil)
		})
	}
}
