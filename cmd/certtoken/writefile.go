package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// refuseExisting reports a file that would be replaced, so that nobody types a
// password in vain.
func refuseExisting(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return failure.Errorf("%s: %w", name, fs.ErrExist)
	}
	return nil
}

// Modes of the files that are written.
const (
	modePublic  fs.FileMode = 0o644
	modePrivate fs.FileMode = 0o600
)

// writeFile writes a file, whole or not at all.
func writeFile(name string, data []byte, mode fs.FileMode, replace bool) error {
	if !replace {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return failure.Errorf("%w", failure.File(err))
		}
		return fill(f, data)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".certtoken-*.tmp") // mode 0600
	if err != nil {
		return failure.Errorf("%w", failure.File(err))
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		_ = errors.Join(f.Close(), os.Remove(f.Name())) // the first error tells more
		return failure.Errorf("%w", failure.File(err))
	}
	if err := fill(f, data); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return failure.Errorf("%w", failure.File(err))
	}
	return nil
}

// fill writes a new file, which is gone if that fails.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return failure.Errorf("%w", failure.File(err))
	}
	return nil
}
