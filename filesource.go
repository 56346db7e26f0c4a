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

	"github.com/certtoken/certtoken/internal/regularfile"
)

const (
	// distrustTime is how long a file is read again although its time stamp is the
	// same. File systems round time stamps, so a second write soon after the first may
	// not change them.
	distrustTime = 2 * time.Second

	// loadTries is how often the files are read when they change while they are read.
	loadTries = 3
)

// FileSource is the [CertSource] of a certificate file or of a key file. It checks the
// file whenever it is asked, so that a renewed certificate is used without a restart. There
// is nothing to close. A pair is a certificate with its key, or a key alone, which doesn't
// expire. While a new file is unreadable,
// half-written, mismatched, expired or not valid yet, the last good pair stays in use,
// and [FileSource.Health] says why. The same is true while the path doesn't name a
// regular file but, for example, a named pipe, and while the file system doesn't answer
// within 5 s.
//
// When the token endpoint refuses the pair in the file, the pair that was in the file
// before signs again, and Health says so. This happens only if that pair was granted a
// token in this process, is within its validity, and was in the file less than 24 h
// ago. The new pair is tried again every ten minutes. Once the new pair was granted a
// token, also for another client that shares the FileSource, the old one never signs
// again. [WithoutRollback] turns all this off.
//
// Make a FileSource with [CertFile] or [KeyFile].
type FileSource struct {
	path string
	cfg  certConfig

	files regularfile.Reader
	state atomic.Pointer[fileState]
	back  rollback

	mu      sync.Mutex // guards loading, never held over I/O
	loading *fileLoad
}

// fileState is what was found in the files.
type fileState struct {
	stamp    fileStamp
	reliable bool         // a later write will change the stamp
	cert     *Certificate // last good pair; nil: none yet
	next     *Certificate // a pair that was read and isn't valid yet
	err      error        // why the pair in the files isn't in use
}

// fileLoad is a reading under way.
type fileLoad struct {
	done  chan struct{}
	state *fileState // nil: the reader gave up, because its context ended
}

// fileStamp shows whether the files have changed since they were read.
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
	cfg := newCertConfig(opts)
	return &FileSource{path: path, cfg: cfg, back: newRollback(cfg.noRollback)}
}

// KeyFile is a source that reads a key without a certificate from a file, in any form that
// [ParseKey] reads, and with the same options. It follows the file as [CertFile] does. It is
// for servers that know their clients by registered keys; [Entra], [ADFS] and everything
// that presents a certificate refuse it with [ErrNoCertificate]. Nothing is read before the
// first use.
func KeyFile(path string, opts ...CertOption) *FileSource {
	cfg := newCertConfig(opts)
	cfg.forKey = true
	return &FileSource{path: path, cfg: cfg, back: newRollback(cfg.noRollback)}
}

// Certificate returns the pair in the files, or the last good one. Errors are
// those of [ParseCertificate] or [ParseKey] and of the file system. It returns an error only if no
// good pair was ever read, or the context ended. It may be called from many goroutines.
func (s *FileSource) Certificate(ctx context.Context) (*Certificate, error) {
	state, err := s.refresh(ctx, false)
	if err != nil {
		return nil, public(err)
	}
	if state.cert == nil {
		return nil, public(state.err)
	}
	return s.back.choose(state.cert), nil
}

// String names the source by its path. It shows nothing of the password.
func (s *FileSource) String() string { return "certtoken.FileSource(" + s.path + ")" }

// Format prints s as String does, whatever the verb.
func (s *FileSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// Reload reads the files again even if they seem unchanged. If they still hold the
// refused pair, the pair before it signs from now on, unless the refused one was granted
// a token before. The error says why the pair in the files isn't in use; the last good
// pair stays in use then.
func (s *FileSource) Reload(ctx context.Context, refused *Certificate) error {
	state, err := s.refresh(ctx, true)
	if err != nil {
		return public(err)
	}
	if state.cert != nil && s.back.refused(refused, state.cert) {
		return nil
	}
	return public(state.err)
}

// Granted is called by a [Client] when the token endpoint granted a token for a
// certificate of this source. Only such a certificate may sign again later, and once
// the newest pair was granted a token, no older one does.
func (s *FileSource) Granted(cert *Certificate) { s.back.granted(cert) }

// Health returns why the pair in the files isn't in use, or nil. It reads the files if
// they changed. A source that isn't healthy may still work with its last good pair, or
// with the one before. Errors are those of [ParseCertificate] and of the file system,
// [ErrExpired], [ErrNotYetValid], or say that the endpoint refused the pair. It may be
// called from many goroutines.
func (s *FileSource) Health() error {
	state, err := s.refresh(context.Background(), false)
	switch {
	case err != nil:
		return public(err)
	case state.err != nil || state.cert == nil:
		return public(state.err)
	}
	return public(s.back.health(s.name(), state.cert))
}

// refresh returns the state of the files, which it reads if they changed. One
// caller reads; others go on with the last good pair, or wait if there is none.
// Its only error is the end of the context.
func (s *FileSource) refresh(ctx context.Context, force bool) (*fileState, error) {
	for {
		old := s.state.Load()
		if !force && old != nil && old.reliable && !old.nextIsValid(time.Now()) && old.stamp.same(s.stat(ctx)) {
			return old, nil
		}
		load, mine := s.begin()
		if mine {
			s.finish(ctx, load, old)
		} else if !force && old != nil && old.cert != nil {
			return old, nil
		}
		select {
		case <-load.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		switch {
		case mine && load.state == nil:
			return nil, context.Cause(ctx)
		case mine:
			return load.state, nil
		case load.state != nil:
			force = false // the files have just been read
		}
	}
}

// begin starts a reading for the caller, or returns the one that another caller started.
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
func (s *FileSource) finish(ctx context.Context, load *fileLoad, old *fileState) {
	defer func() {
		s.mu.Lock()
		s.loading = nil
		s.mu.Unlock()
		close(load.done)
	}()
	if state := s.load(ctx); state != nil {
		load.state = state.after(old, time.Now())
		s.state.Store(load.state)
	}
}

// load reads certificate and key again if one of them changed meanwhile, so that the
// old key isn't combined with the new certificate. It returns nil if the context ended.
func (s *FileSource) load(ctx context.Context) *fileState {
	for try := 1; ; try++ {
		before := s.stat(ctx)
		cert, err := s.read(ctx)
		after := s.stat(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if try < loadTries && !before.same(after) {
			continue
		}
		reliable := before.same(after) && before.trusted(time.Now()) && !isFileError(err)
		return &fileState{stamp: before, reliable: reliable, next: cert, err: err}
	}
}

// name names the files in errors.
func (s *FileSource) name() string {
	if s.cfg.keyFile != "" {
		return s.path + " with " + s.cfg.keyFile
	}
	return s.path
}

func (s *FileSource) read(ctx context.Context) (*Certificate, error) {
	read := func(path string) ([]byte, error) {
		data, err := s.files.Read(ctx, path, maxCertFile)
		return data, certFileError(path, err)
	}
	data, err := read(s.path)
	if err != nil {
		return nil, err
	}
	var cert *Certificate
	if s.cfg.forKey {
		cert, err = s.cfg.parseKey(data)
	} else {
		cert, err = s.cfg.parse(data, read)
	}
	if isFileError(err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name(), inner(err))
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
	case f.cert == nil || read.valid(now) == nil:
		f.cert = read // the first pair is kept even if it has expired: signing then says so
	case now.Before(read.begins()):
		f.next = read
	}
	f.err = read.valid(now)
	return f
}

// nextIsValid reports whether a certificate that was read before its time is valid now.
func (f *fileState) nextIsValid(now time.Time) bool {
	return f.next != nil && f.next.valid(now) == nil
}

func (s *FileSource) stat(ctx context.Context) fileStamp {
	var stamp fileStamp
	stamp.files[0], _ = s.files.Stat(ctx, s.path)
	if s.cfg.keyFile != "" {
		stamp.files[1], _ = s.files.Stat(ctx, s.cfg.keyFile)
	}
	return stamp
}

// same reports whether both stamps are of the same files with the same content,
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

// trusted reports whether the files' last change is so long ago that another one
// would have another time stamp.
func (a fileStamp) trusted(now time.Time) bool {
	for _, x := range a.files {
		if x != nil && now.Sub(x.ModTime()) < distrustTime {
			return false
		}
	}
	return true
}

// isFileError reports whether a file couldn't be read at all. Such a file is tried again
// each time: a permission that is granted later doesn't change the stamp.
func isFileError(err error) bool {
	var pathErr *fs.PathError
	return errors.As(err, &pathErr)
}

// validate lets NewClient report what is wrong without reading the file.
func (s *FileSource) validate() error {
	switch {
	case s == nil || s.path == "" && !s.cfg.forKey:
		return errors.New("CertFile: no path given")
	case s.path == "":
		return errors.New("KeyFile: no path given")
	case s.cfg.forKey:
		if err := s.cfg.checkForKey(); err != nil {
			return fmt.Errorf("KeyFile: %w", err)
		}
	}
	return nil
}
