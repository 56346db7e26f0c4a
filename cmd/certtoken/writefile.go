package main

import (
	"io/fs"
	"os"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/certtoken/certtoken/internal/wholefiles"
)

// checkTarget returns an error if a file must not be written: it is there and
// isn't to be replaced, or what is there is no file. It is called before anybody
// types a password. A device or a link is never replaced: renaming a new file over
// it would take it away from every other program.
func checkTarget(name string, replace bool) error {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return nil // it isn't there, or writing will say why it can't be looked at
	case !info.Mode().IsRegular():
		return refuseSpecial(name, info.Mode())
	case !replace:
		return failure.Errorf("%s: %w", name, fs.ErrExist)
	}
	return nil
}

// refuseSpecial is the error for a name that has something else than a file.
func refuseSpecial(name string, mode fs.FileMode) error {
	what, advice := "a device, a pipe or a socket", "Give the name of a file."
	switch {
	case standardOutput().MatchString(name):
		what, advice = "standard output", "Give - instead."
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeSymlink != 0:
		what, advice = "a symbolic link", "Give the name of the file that it leads to."
	}
	return failure.Errorf("%s: this is %s, which is not replaced", name, what).Advise(advice)
}

// standardOutput matches the names that Unix has for it.
var standardOutput = lazyregexp.New(`^(?:/dev/stdout|/dev/fd/1|/proc/self/fd/1)$`)

// Modes of the files that are written.
const (
	modePublic  fs.FileMode = 0o644
	modePrivate fs.FileMode = 0o600
)

// writeFile writes a file. After an error the file isn't there, or is the one from
// before.
func writeFile(name string, data []byte, mode fs.FileMode, replace bool) error {
	return writeFiles(replace, wholefiles.File{Path: name, Data: data, Mode: mode})
}

// writeFiles writes files that belong together: all, or none. After an error those from
// before are there.
func writeFiles(replace bool, files ...wholefiles.File) error {
	for _, f := range files {
		if !replace {
			break // wholefiles replaces nothing then
		}
		if err := checkTarget(f.Path, replace); err != nil { // it may have come since it was looked at first
			return err
		}
	}
	if err := wholefiles.Write(files, replace); err != nil {
		return failure.Errorf("%w", failure.File(err))
	}
	return nil
}
