// Package licence reads the licences of modules, and says which are allowed.
package licence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Shipped are the licences that a dependency of a published module may have.
var Shipped = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// InTests are those that modules that are never imported may have as well.
var InTests = append([]string{"MPL-2.0", "BlueOak-1.0.0", "Unlicense", "CC0-1.0"}, Shipped...)

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)([.-].*)?$`)

	// marks are sentences that a licence has and no other.
	marks = []struct{ spdx, sentence string }{
		{"Apache-2.0", "apache license version 2.0, january 2004"},
		{"MPL-2.0", "mozilla public license, version 2.0"},
		{"MPL-2.0", "mozilla public license version 2.0"}, // as Mozilla's own file has it
		{
			"MIT",
			"permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated " +
				"documentation files",
		},
		{"Unlicense", "this is free and unencumbered software released into the public domain"},
		{
			"ISC",
			"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is " +
				"hereby granted, provided that the above copyright notice",
		},
	}
	bsd = "redistribution and use in source and binary forms, with or without modification, are permitted " +
		"provided that the following conditions are met"
	bsdThird  = regexp.MustCompile(`neither the names? of .{1,200} endorse or promote products derived from`)
	bsdFourth = "all advertising materials mentioning features"

	// restrictions are words of texts that take back what the marks give, but
	// where they are harmless.
	restrictions = regexp.MustCompile(
		`commons clause|business source license|server side public license|elastic license|general public ` +
			`license|non-?commercial|not use .{1,40}(commercially|for commercial)`,
	)
	harmless = strings.NewReplacer(
		// what MPL-2.0 allows to be used beside it
		"gnu general public license, version 2.0, the gnu lesser general public license, version 2.1, the gnu affero "+
			"general public license, version 3.0",
		"",
		// what the Unlicense gives
		"commercial or non-commercial",
		"",
	)
)

// Text is a file that has a licence.
type Text struct{ Name, Text string }

// Texts reads the licence files in a module's folder. There must be one. A file whose name
// ends with .docs is about a module's documents, which nobody builds into a program.
func Texts(folder string) ([]Text, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var found []Text
	for _, e := range entries {
		if e.Type().IsRegular() && licenceFile.MatchString(e.Name()) && !strings.HasSuffix(e.Name(), ".docs") {
			text, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				return nil, err
			}
			found = append(found, Text{e.Name(), string(text)})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no licence: %w", fs.ErrNotExist)
	}
	return found, nil
}

// Of names the licences in a module's folder as an SPDX expression.
func Of(folder string) (string, error) {
	texts, err := Texts(folder)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range texts {
		licences, err := classify(t.Text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", t.Name, err)
		}
		found = append(found, licences...)
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " AND "), nil
}

// classify names the licences in a text, by SPDX. A text it doesn't know, or
// that restricts what it grants, is an error and for a person to read.
func classify(text string) ([]string, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	var found []string
	for _, m := range marks {
		if strings.Contains(text, m.sentence) {
			found = append(found, m.spdx)
		}
	}
	if strings.Contains(text, bsd) {
		switch {
		case strings.Contains(text, bsdFourth):
			return nil, errors.New("BSD with the advertising clause")
		case bsdThird.MatchString(text):
			found = append(found, "BSD-3-Clause")
		default:
			found = append(found, "BSD-2-Clause")
		}
	}
	if word := restrictions.FindString(harmless.Replace(text)); word != "" {
		return nil, fmt.Errorf("a text with %q in it", word)
	}
	if len(found) == 0 {
		return nil, errors.New("a text that isn't known")
	}
	return found, nil
}

// Allowed reports whether each part of an expression is in the list.
func Allowed(expression string, list []string) bool {
	for part := range strings.SplitSeq(expression, " AND ") {
		if !slices.Contains(list, part) {
			return false
		}
	}
	return true
}
