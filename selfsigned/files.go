package selfsigned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certtoken/certtoken"
)

const (
	privateMode fs.FileMode = 0o600
	publicMode  fs.FileMode = 0o644
)

// WriteOptions say which files [WriteFiles] makes. The zero value makes
// public.cer and private.pfx, and replaces nothing.
type WriteOptions struct {
	CERName   string  // default public.cer
	PFXName   string  // default private.pfx
	PEMName   string  // of a PEM with the unencrypted key; default none
	Form      PFXForm // of the PFX; default PFXModern
	Overwrite bool    // replace files that exist
}

// Files are the paths that [WriteFiles] made.
type Files struct {
	CER string
	PFX string
	PEM string // "" unless asked for
}

// WriteFiles writes the certificate into a folder that exists: its public part
// in DER, and with its private key as a PFX under the password. Files with a key
// can be read by their owner only (mode 0600; on Windows the folder's rules
// hold). Either all files are there afterwards and whole, or none is: after a
// failure what was there before is there again.
//
// Errors wrap [fs.ErrExist] if a file exists and Overwrite isn't set, and
// [ErrKeyNotExportable] for a key that isn't in memory.
func WriteFiles(dir string, cert *certtoken.Certificate, password string, opts WriteOptions) (Files, error) {
	files := opts.paths(dir)
	if err := files.check(opts.Overwrite); err != nil {
		return Files{}, err
	}
	set, err := encodeAll(files, cert, password, opts.Form)
	if err != nil {
		return Files{}, err
	}
	if err := set.write(opts.Overwrite); err != nil {
		return Files{}, fmt.Errorf("selfsigned: %w", err)
	}
	return files, nil
}

func (o WriteOptions) paths(dir string) Files {
	name := func(given, otherwise string) string {
		if given == "" {
			given = otherwise
		}
		return filepath.Join(dir, given)
	}
	files := Files{CER: name(o.CERName, "public.cer"), PFX: name(o.PFXName, "private.pfx")}
	if o.PEMName != "" {
		files.PEM = name(o.PEMName, "")
	}
	return files
}

// check finds what can be found before anything is made.
func (f Files) check(overwrite bool) error {
	var errs []error
	seen := make(map[string]bool)
	for _, path := range []string{f.CER, f.PFX, f.PEM} {
		if path == "" {
			continue
		}
		if seen[path] {
			errs = append(errs, fmt.Errorf("selfsigned: %s would be written twice", path))
		}
		seen[path] = true
		if _, err := os.Lstat(path); err == nil && !overwrite {
			errs = append(
				errs,
				fmt.Errorf("selfsigned: %s: %w; it is replaced only when that is asked for", path, fs.ErrExist),
			)
		}
	}
	return errors.Join(errs...)
}

// fileSet are files that appear together.
type fileSet []*outFile

type outFile struct {
	path string
	data []byte
	mode fs.FileMode
	temp string // the finished file under its temporary name
	undo func() // nil until it is in its place
}

// encodeAll does everything else that can fail without a file.
func encodeAll(files Files, cert *certtoken.Certificate, password string, form PFXForm) (fileSet, error) {
	cer, err := EncodeCER(cert)
	if err != nil {
		return nil, err
	}
	pfx, err := EncodePFX(cert, password, form)
	if err != nil {
		return nil, err
	}
	set := fileSet{
		{path: files.CER, data: cer, mode: publicMode},
		{path: files.PFX, data: pfx, mode: privateMode},
	}
	if files.PEM != "" {
		data, err := EncodePEM(cert)
		if err != nil {
			return nil, err
		}
		set = append(set, &outFile{path: files.PEM, data: data, mode: privateMode})
	}
	return set, nil
}

// write makes every file under a temporary name, then puts all in their places.
func (s fileSet) write(overwrite bool) (err error) {
	defer func() {
		for _, f := range s {
			if f.temp != "" {
				_ = os.Remove(f.temp) // gone already where it was renamed
			}
			if err != nil && f.undo != nil {
				f.undo()
			}
		}
	}()
	for _, f := range s {
		if f.temp, err = writeTemp(f.path, f.data, f.mode); err != nil {
			return err
		}
	}
	for _, f := range s {
		if err = f.place(overwrite); err != nil {
			return err
		}
	}
	return nil
}

// writeTemp writes a file beside path and returns its name. On failure there is
// none.
func writeTemp(path string, data []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".certtoken-*.tmp") // mode 0600
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
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return "", err
	}
	return f.Name(), f.Sync()
}

// place gives the finished file its name in one step.
func (f *outFile) place(overwrite bool) error {
	if overwrite {
		return f.replace()
	}
	err := os.Link(f.temp, f.path) // unlike a rename, fails if the name is taken
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = f.create() // a file system without links
	}
	if err == nil {
		f.undo = func() { _ = os.Remove(f.path) } // all that can be done
	}
	return err
}

// create writes a file that must not exist.
func (f *outFile) create() error {
	out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.data)
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(f.path) // the first error tells more
	}
	return err
}

// replace takes the place of what is there, and can put it back.
func (f *outFile) replace() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(f.temp, f.path); err != nil {
			return err
		}
		f.undo = func() { _ = os.Remove(f.path) } // all that can be done
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.path)
	}
	old, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	if err := os.Rename(f.temp, f.path); err != nil {
		return err
	}
	f.undo = func() {
		if temp, err := writeTemp(f.path, old, info.Mode().Perm()); err == nil {
			_ = os.Rename(temp, f.path) // all that can be done
		}
	}
	return nil
}
