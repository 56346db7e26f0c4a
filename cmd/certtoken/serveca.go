package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
)

// caFile is the file that --ca-file names, "" for a temporary one. Clients trust
// the CA in it.
type caFile string

// check makes sure that the file is new, or holds a CA from an earlier run. A
// mistaken name must not cost a file of the user's.
func (f caFile) check(ctx context.Context) error {
	name := string(f)
	switch name {
	case "":
		return nil
	case "-":
		return failure.Usagef("--ca-file can't be standard output: give a FILE")
	}
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	info, err := os.Stat(name) // follows a link
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.refuse("it is a link to a file that doesn't exist")
	case err != nil:
		return failure.Errorf("--ca-file: %w", failure.File(err))
	case !info.Mode().IsRegular():
		return f.refuse("it is not a regular file")
	case info.Size() == 0:
		return f.refuse("it is empty, so nothing shows that it is a CA file of an earlier run")
	case info.Size() > input.MaxFile:
		return f.refuse("it holds something other than certificates")
	}
	data, err := input.File(name, nil).Read(ctx)
	if err != nil {
		return err
	}
	if !onlyCertificates(data) {
		return f.refuse("it holds something other than certificates")
	}
	return nil
}

func (f caFile) refuse(reason string) error {
	return failure.Errorf("--ca-file %s: not a CA file of serve: %s", string(f), reason).
		Advise("Remove the file, or give the name of a new one.")
}

// onlyCertificates reports whether data is one CERTIFICATE block or several, and
// nothing else.
func onlyCertificates(data []byte) bool {
	blocks := 0
	for data = bytes.TrimSpace(data); len(data) > 0; data = bytes.TrimSpace(data) {
		if !bytes.HasPrefix(data, []byte("-----BEGIN CERTIFICATE-----")) {
			return false
		}
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			return false
		}
		data = rest
		blocks++
	}
	return blocks > 0
}

// write writes the CA. It returns the file's name, and what removes a temporary
// file at the end.
func (f caFile) write(ca []byte) (name string, cleanup func(), err error) {
	if f != "" {
		if err := f.replace(ca); err != nil {
			return "", nil, failure.Errorf("--ca-file: %w", failure.File(err))
		}
		return string(f), func() {}, nil
	}
	dir, err := os.MkdirTemp("", "certtoken-serve-")
	if err != nil {
		return "", nil, failure.Errorf("%w", failure.File(err))
	}
	name = filepath.Join(dir, "ca.pem")
	cleanup = func() { _ = os.RemoveAll(dir) } // what can't be removed is in the temporary folder
	if err := os.WriteFile(name, ca, 0o644); err != nil {
		cleanup()
		return "", nil, failure.Errorf("%w", failure.File(err))
	}
	return name, cleanup, nil
}

// replace makes a new file, or writes over one that is there. The flag O_EXCL
// refuses a link that was put there since check looked.
func (f caFile) replace(ca []byte) error {
	flags := os.O_WRONLY | os.O_TRUNC
	if _, err := os.Lstat(string(f)); errors.Is(err, fs.ErrNotExist) {
		flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(string(f), flags, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(ca)
	return errors.Join(err, file.Close())
}
