package selfsigned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/wholefiles"
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
	if err := wholefiles.Write(set, opts.Overwrite); err != nil {
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

// encodeAll does everything else that can fail without a file.
func encodeAll(files Files, cert *certtoken.Certificate, password string, form PFXForm) ([]wholefiles.File, error) {
	cer, err := EncodeCER(cert)
	if err != nil {
		return nil, err
	}
	pfx, err := EncodePFX(cert, password, form)
	if err != nil {
		return nil, err
	}
	set := []wholefiles.File{
		{Path: files.CER, Data: cer, Mode: publicMode},
		{Path: files.PFX, Data: pfx, Mode: privateMode},
	}
	if files.PEM != "" {
		data, err := EncodePEM(cert)
		if err != nil {
			return nil, err
		}
		set = append(set, wholefiles.File{Path: files.PEM, Data: data, Mode: privateMode})
	}
	return set, nil
}
