package rotate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// maxName bounds what a registrar is called.
const maxName = 1024

// nameOf names a registrar. It is asked once, because its String is anybody's code.
func nameOf(r Registrar) (named, error) {
	text, err := guarded("the registrar's String", func() (string, error) { return r.String(), nil })
	if err != nil {
		return named{}, err
	}
	if text == "" {
		return named{}, errors.New("the registrar's String says nothing, and the state couldn't name it")
	}
	text = redact.Text(text, maxName)
	identity := text
	switch r := r.(type) {
	case *command:
		identity = "exec:" + programOf(r) + argsOf(r)
	case *KeySet:
		identity = "jwks:" + absolute("", r.path)
	case *graph:
		identity = strings.ToLower(text)
		if r.URL != graphURL {
			identity += " at " + r.URL
		}
	}
	return named{text: text, identity: redact.Text(identity, 2*maxName)}, nil
}

// programOf is a program's path. A name without a folder is looked up at each start, so it
// stays a name.
func programOf(c *command) string {
	if filepath.Base(c.program) == c.program {
		return c.program
	}
	return absolute(c.options.Dir, c.program)
}

// argsOf tells one program's uses apart, such as two scripts of an interpreter. An argument may
// be a secret, so it is only a hash.
func argsOf(c *command) string {
	if len(c.args) == 0 {
		return ""
	}
	data, _ := json.Marshal(c.args) // strings can always be written
	sum := sha256.Sum256(data)
	return " arguments " + hex.EncodeToString(sum[:8])
}

// absolute is a path that doesn't depend on the folder of the process.
func absolute(dir, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	full, err := filepath.Abs(path)
	if err != nil { // the process's folder is gone
		return filepath.Clean(path)
	}
	return full
}
