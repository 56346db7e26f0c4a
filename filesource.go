package certtoken

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// settleTime is how long a file's time stamp is distrusted after a change:
	// a second write within the stamp's grain can't be seen by it.
	settleTime = 2 * time.Second

	// loadTries is how often a pair of files is read until they hold still.
	loadTries = 3
)

// FileSource is the [CertSource] of a certificate file. It looks at the file
// whenever it is asked, so that a renewed certificate is taken up without a
// restart; there is no goroutine and nothing to close. While a new file is
// unreadable, half-written, mismatched, expired or not valid yet, the last good
// pair stays in use, and [FileSource.Health] tells. Make one with [CertFile].
type FileSource struct {
	path string
	cfg  certConfig

	state atomic.Pointer[fileState]

	mu      sync.Mutex // guards loading, never held over I/O
	loading *fileLoad
}

// fileState is what a look at the files found.
type fileState struct {
	stamp fileStamp
	sure  bool         // the stamp can't hide a later write
	cert  *Certificate // last good pair; nil: none yet
	next  *Certificate // read, but not valid yet
	err   error        // why the files as they are aren't in use
}

// fileLoad is a reading under way.
type fileLoad struct {
	done  chan struct{}
	state *fileState
}

// fileStamp tells whether files are still those that were read.
type fileStamp struct {
	files [2]os.FileInfo // of certificate and key
}

var (
	_ CertSource = (*FileSource)(nil)
	_ Reloader   = (*FileSource)(nil)
)

// CertFile is a source that reads its certificate from a file, or from two with
// [WithKeyFile], in any form that [ParseCertificate] reads. It follows the
// files: replaced by rename, written in place, or behind the symbolic links of
// a Kubernetes secret. Nothing is read before the first use.
func CertFile(path string, opts ...CertOption) *FileSource {
	return &FileSource{path: path, cfg: newCertConfig(opts)}
}

// Certificate returns the pair in the files, or the last good one. Errors are
// those of [ParseCertificate] and of the file system, and come only as long as
// no good pair was ever read. Safe for concurrent use.
func (s *FileSource) Certificate(ctx context.Context) (*Certificate, error) {
	state, err := s.look(ctx, false)
	if err != nil {
		return nil, public(err)
	}
	if state.cert == nil {
		return nil, public(state.err)
	}
	return state.cert, nil
}

// String names the source by its path. It shows nothing of the password.
func (s *FileSource) String() string { return "certtoken.FileSource(" + s.path + ")" }

// Format prints s as String does, whatever the verb.
func (s *FileSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// Reload reads the files again even if they seem unchanged. Its error says why
// they aren't in use as they are; the last good pair goes on.
func (s *FileSource) Reload(ctx context.Context, _ *Certificate) error {
	state, err := s.look(ctx, true)
	if err != nil {
		return public(err)
	}
	return public(state.err)
}

// Health looks at the files and returns why they can't be used as they are, or
// nil. A source that isn't healthy may still work with its last good pair. It
// reads the files if they changed; errors are those of [ParseCertificate] and of
// the file system, [ErrExpired] and [ErrNotYetValid]. Safe for concurrent use.
func (s *FileSource) Health() error {
	state, err := s.look(context.Background(), false)
	if err != nil {
		return public(err)
	}
	return public(state.err)
}

// look returns the state of the files, which it reads if they changed. One
// caller reads; others go on with the last good pair, or wait if there is none.
func (s *FileSource) look(ctx context.Context, force bool) (*fileState, error) {
	for {
		old := s.state.Load()
		if !force && old != nil && old.sure && !old.ripe(time.Now()) && old.stamp.same(s.stat()) {
			return old, nil
		}
		load, mine := s.begin()
		if mine {
			s.finish(load, old)
			return load.state, nil
		}
		if !force && old != nil && old.cert != nil {
			return old, nil
		}
		select {
		case <-load.done:
			force = false // somebody has just read
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// begin takes the reading upon the caller, or returns that of another.
func (s *FileSource) begin() (load *fileLoad, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading != nil {
		return s.loading, false
	}
	s.loading = &fileLoad{done: make(chan struct{})}
	return s.loading, true
}

// finish reads the files and publishes what it found.
func (s *FileSource) finish(load *fileLoad, old *fileState) {
	defer func() {
		s.mu.Lock()
		s.loading = nil
		s.mu.Unlock()
		close(load.done)
	}()
	load.state = s.load().after(old, time.Now())
	s.state.Store(load.state)
}

// load reads certificate and key until neither changed meanwhile, so that the
// old key isn't taken with the new certificate.
func (s *FileSource) load() *fileState {
	for try := 1; ; try++ {
		before := s.stat()
		cert, err := s.read()
		after := s.stat()
		if try < loadTries && !before.same(after) {
			continue
		}
		sure := before.same(after) && before.settled(time.Now()) && !isFileError(err)
		return &fileState{stamp: before, sure: sure, next: cert, err: err}
	}
}

// files names what is read, for people.
func (s *FileSource) files() string {
	if s.cfg.keyFile != "" {
		return s.path + " with " + s.cfg.keyFile
	}
	return s.path
}

func (s *FileSource) read() (*Certificate, error) {
	data, err := readCertFile(s.path)
	if err != nil {
		return nil, err
	}
	cert, err := s.cfg.parse(data)
	if isFileError(err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", s.files(), inner(err))
	}
	return cert, nil
}

// after decides which pair is used from now on: the one just read, if it is
// valid, or else the one that was used before.
func (f *fileState) after(old *fileState, now time.Time) *fileState {
	read := f.next
	f.next = nil
	if old != nil {
		f.cert = old.cert
	}
	switch {
	case f.err != nil:
		return f
	case f.cert == nil || read.usable(now) == nil:
		f.cert = read // without a better one even an expired one: it gives the right error when it would sign
	case now.Before(read.Leaf.NotBefore):
		f.next = read
	}
	f.err = read.usable(now)
	return f
}

// ripe tells whether a certificate that was read before its time is valid now.
func (f *fileState) ripe(now time.Time) bool {
	return f.next != nil && f.next.usable(now) == nil
}

func (s *FileSource) stat() fileStamp {
	var stamp fileStamp
	stamp.files[0], _ = os.Stat(s.path)
	if s.cfg.keyFile != "" {
		stamp.files[1], _ = os.Stat(s.cfg.keyFile)
	}
	return stamp
}

// same tells whether both stamps are of the same files with the same content,
// as far as the file system shows it.
func (a fileStamp) same(b fileStamp) bool {
	for i, x := range a.files {
		y := b.files[i]
		if x == nil || y == nil {
			if x != y {
				return false
			}
			continue
		}
		if !os.SameFile(x, y) || x.Size() != y.Size() || !x.ModTime().Equal(y.ModTime()) {
			return false
		}
	}
	return true
}

// settled tells whether the files' last change is so long ago that another one
// would have another time stamp.
func (a fileStamp) settled(now time.Time) bool {
	for _, x := range a.files {
		if x != nil && now.Sub(x.ModTime()) < settleTime {
			return false
		}
	}
	return true
}

// isFileError tells whether a file couldn't be read at all; a permission that
// is granted later doesn't show in the stamp.
func isFileError(err error) bool {
	var pathErr *fs.PathError
	return errors.As(err, &pathErr)
}

// validate lets NewClient report what is wrong without reading the file.
func (s *FileSource) validate() error {
	if s == nil || s.path == "" {
		return errors.New("CertFile: no path given")
	}
	return nil
}
