// Package wholefiles writes several files that belong together: all are there afterwards
// and whole, or everything is as it was before.
package wholefiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// File is a file that is to be written.
type File struct {
	Path string
	Data []byte
	Mode fs.FileMode // of what replaces a file too
}

// Write writes the files into folders that exist. Either all of them are there afterwards
// and whole, or none is: after a failure what was there before is there again. A name that
// is taken is an error that wraps [fs.ErrExist], unless replace is set. Errors are those of
// package os.
func Write(files []File, replace bool) (err error) {
	set := make([]*pending, 0, len(files))
	defer func() {
		for _, f := range set {
			f.end(err != nil)
		}
	}()
	for _, file := range files {
		temp, err := writeTemp(file)
		if err != nil {
			return err
		}
		set = append(set, &pending{File: file, temp: temp})
	}
	for _, f := range set {
		if err := f.place(replace); err != nil {
			return err
		}
	}
	return nil
}

// pending is a file that is finished under a temporary name.
type pending struct {
	File
	temp   string
	old    string // another name of the file that was there before; "": there was none
	placed bool   // it has its name
}

// end takes the temporary names away. With undo, what was there before comes back.
func (f *pending) end(undo bool) {
	switch {
	case !undo || !f.placed:
	case f.old != "":
		_ = os.Rename(f.old, f.Path) // all that can be done
	default:
		_ = os.Remove(f.Path) // all that can be done
	}
	for _, name := range []string{f.temp, f.old} {
		if name != "" {
			_ = os.Remove(name) // gone already where it was renamed
		}
	}
}

// place gives the finished file its name in one step.
func (f *pending) place(replace bool) error {
	var err error
	if replace {
		err = f.replace()
	} else {
		err = os.Link(f.temp, f.Path) // unlike a rename, fails if the name is taken
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = f.create() // a file system without links
		}
	}
	f.placed = err == nil
	return err
}

// create writes a file that must not exist.
func (f *pending) create() error {
	out, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.Data)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		_ = os.Remove(f.Path) // the first error tells more
	}
	return err
}

// replace takes the place of what is there, and keeps that until all files have their names.
func (f *pending) replace() error {
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(f.temp, f.Path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", f.Path)
	}
	if err := f.keep(info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(f.temp, f.Path)
}

// keep gives the file that is there a second name. A copy, where the file system has no
// links, is made now and not when it is needed: the disk may be full then.
func (f *pending) keep(mode fs.FileMode) error {
	name := f.temp + ".old"
	if os.Link(f.Path, name) == nil {
		f.old = name
		return nil
	}
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	f.old, err = writeTemp(File{f.Path, data, mode})
	return err
}

// tempMode is the mode of a temporary file (see [os.CreateTemp]).
const tempMode fs.FileMode = 0o600

// writeTemp writes a file beside its path and returns its name. On failure there is none.
func writeTemp(file File) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(file.Path), ".certtoken-*.tmp")
	var unmade *fs.PathError
	if errors.As(err, &unmade) {
		unmade.Path = file.Path // which the user knows
	}
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name()) // the first error tells more
			name = ""
		}
	}()
	if _, err := f.Write(file.Data); err != nil {
		return "", err
	}
	if file.Mode != tempMode {
		if err := f.Chmod(file.Mode); err != nil && !hasOtherModes(err) {
			return "", err
		}
	}
	return f.Name(), f.Sync()
}

// hasOtherModes reports whether a file system refused to change the mode of our own file
// because it has none, or others: one of Windows or of a USB stick.
func hasOtherModes(err error) bool {
	return runtime.GOOS == "windows" || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)
}
