// Package tokencache keeps tokens from one run of a program to the next, in files that
// only their user can read. They aren't encrypted: who can read the user's files can
// read the tokens.
package tokencache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	maxEntry   = 1 << 20
	maxEntries = 1000 // that are looked through for what has ended

	// margin is how long before its end a token isn't handed out any more.
	margin = time.Minute

	// again is how long a caller who comes again is taken for one whose token was refused.
	again = time.Minute

	// maxCallers is how many of them an entry remembers.
	maxCallers = 32

	suffix = ".token"
)

// Entry is a token that is kept.
type Entry struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	Scopes      []string  `json:"scopes"`
	ExpiresAt   time.Time `json:"expires_at"`
	Callers     []Caller  `json:"callers"`
}

// Caller is a process that was given the token.
type Caller struct {
	Process int       `json:"process"`
	At      time.Time `json:"at"`
}

// Folder is where the files are.
type Folder struct {
	path  string
	rules Rules
}

// Rules are what a file must be like, which depends on the system.
type Rules struct {
	NoFollow int                    // flag by which a link isn't opened
	Own      func(fs.FileInfo) bool // it belongs to this user, under one name
	Modes    bool                   // modes say who may use it
}

// Open returns the folder of this user, and makes it if it isn't there: in
// $XDG_RUNTIME_DIR, which is in memory and ends with the session, or else in the user's
// folder of caches. It refuses a folder that others can enter.
func Open(rules Rules) (*Folder, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		caches, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("there is no folder for it: set XDG_RUNTIME_DIR: %w", err)
		}
		if err := os.MkdirAll(caches, 0o700); err != nil {
			return nil, err
		}
		base = caches
	}
	if !filepath.IsAbs(base) {
		return nil, errors.New("XDG_RUNTIME_DIR is not a whole path")
	}
	f := &Folder{filepath.Join(base, "certtoken"), rules}
	if err := os.Mkdir(f.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", f.path)
	}
	return f, f.check(f.path, info)
}

func (f *Folder) check(name string, info fs.FileInfo) error {
	switch {
	case !f.rules.Own(info):
		return fmt.Errorf("%s belongs to another user, or has another name too", name)
	case f.rules.Modes && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s can be used by others: chmod go-rwx", name)
	}
	return nil
}

// Name is the name of a token: of all that it was asked for with. Each part is preceded
// by its length, so that different parts never make the same name.
func Name(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Get returns the token of a name for a process, or nil if there is none that is valid
// yet, or if the same process was given it within the last minute: it comes again
// because it was refused.
func (f *Folder) Get(name string, process int, now time.Time) (*Entry, error) {
	entry, err := f.read(name)
	if entry == nil || err != nil {
		return nil, err
	}
	if now.Add(margin).After(entry.ExpiresAt) || entry.gaveLately(process, now) {
		return nil, nil
	}
	return entry, f.write(name, entry.givenTo(process, now))
}

// Put keeps a token that a process is given.
func (f *Folder) Put(name string, entry Entry, process int, now time.Time) error {
	if before, err := f.read(name); err == nil && before != nil {
		entry.Callers = before.Callers
	}
	f.clean(now)
	return f.write(name, entry.givenTo(process, now))
}

func (e *Entry) gaveLately(process int, now time.Time) bool {
	return slices.ContainsFunc(e.Callers, func(c Caller) bool {
		return c.Process == process && now.Sub(c.At).Abs() < again
	})
}

// givenTo returns the entry with one more caller, without those that don't count any
// more.
func (e Entry) givenTo(process int, now time.Time) Entry {
	callers := []Caller{{process, now}}
	for _, c := range e.Callers {
		if c.Process != process && now.Sub(c.At).Abs() < again && len(callers) < maxCallers {
			callers = append(callers, c)
		}
	}
	e.Callers = callers
	return e
}

func (f *Folder) file(name string) string { return filepath.Join(f.path, name+suffix) }

// read returns an entry, or nil if there is none. What can't be read as one is none: it
// is replaced.
func (f *Folder) read(name string) (*Entry, error) {
	file, err := os.OpenFile(f.file(name), os.O_RDONLY|f.rules.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxEntry {
		return nil, fmt.Errorf("%s is no file of a token", f.file(name))
	}
	if err := f.check(f.file(name), info); err != nil {
		return nil, err
	}
	var entry Entry
	if json.NewDecoder(file).Decode(&entry) != nil || entry.AccessToken == "" {
		return nil, nil
	}
	return &entry, nil
}

// write replaces an entry at once: nobody reads half of one.
func (f *Folder) write(name string, entry Entry) error {
	data, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.path, ".*"+suffix) // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.file(name))
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // the first error is the one to report
	}
	return err
}

// clean removes what has ended, and what a program that was killed has left.
func (f *Folder) clean(now time.Time) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return // the next run tries again
	}
	for _, found := range entries[:min(len(entries), maxEntries)] {
		name, ok := strings.CutSuffix(found.Name(), suffix)
		info, err := found.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasPrefix(name, ".") && now.Sub(info.ModTime()) < time.Hour {
			continue // somebody may be writing it
		}
		if entry, err := f.read(name); err == nil && (entry == nil || now.After(entry.ExpiresAt)) {
			_ = os.Remove(filepath.Join(f.path, found.Name())) // the next run tries again
		}
	}
}
