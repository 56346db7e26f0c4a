package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
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
	case standardOutput.MatchString(name):
		what, advice = "standard output", "Give - instead."
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeSymlink != 0:
		what, advice = "a symbolic link", "Give the name of the file that it leads to."
	}
	return failure.Errorf("%s: this is %s, which is not replaced", name, what).Advise(advice)
}

// standardOutput matches the names that Unix has for it.
var standardOutput = regexp.MustCompile(`^(?:/dev/stdout|/dev/fd/1|/proc/self/fd/1)$`)

// Modes of the files that are written.
const (
	modePublic  fs.FileMode = 0o644
	modePrivate fs.FileMode = 0o600
)

// writeFile writes a file. After an error the file isn't there, or is the one from
// before.
func writeFile(name string, data []byte, mode fs.FileMode, replace bool) error {
	if !replace {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return failure.Errorf("%w", failure.File(err))
		}
		return fill(f, data)
	}
	if err := checkTarget(name, replace); err != nil { // it may have come since it was looked at first
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".certtoken-*.tmp") // mode 0600
	if err != nil {
		return failure.Errorf("%w", failure.File(err))
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		_ = errors.Join(f.Close(), os.Remove(f.Name())) // the first error is the one to report
		return failure.Errorf("%w", failure.File(err))
	}
	if err := fill(f, data); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to report
		return failure.Errorf("%w", failure.File(err))
	}
	return nil
}

// fill writes and closes a new file, and removes it if that fails.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // the first error is the one to report
		return failure.Errorf("%w", failure.File(err))
	}
	return nil
}
