package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// refuseExisting returns an error if the file exists. It is called before anybody
// types a password.
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
