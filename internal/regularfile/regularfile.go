// Package regularfile reads files that a program follows while it runs. Such a path
// may for a moment name something else: a named pipe, a device, a folder, or a file
// on a network mount that no longer answers. Opening or reading these could
// take for ever, so only regular files are read, and each access has a time limit.
// The package knows nothing of what the files hold.
package regularfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/certtoken/certtoken/internal/single"
)

// Limit is how long one access to a file may take. A local file takes less than a
// millisecond, so what takes longer is a mount that is down or very slow.
const Limit = 5 * time.Second

var (
	// ErrTooLarge is a file that is larger than the reader was told to expect.
	ErrTooLarge = errors.New("the file is too large")

	// ErrNotRegular is something else than a regular file.
	ErrNotRegular = errors.New("not a regular file")

	// ErrHangs is an access that takes longer than Limit. It goes on alone; until it
	// has ended, every other access of the same Reader is refused with this error.
	ErrHangs = fmt.Errorf("the file system doesn't answer within %v", Limit)
)

// Reader reads the files of one source. At most one goroutine of it is in the file
// system, however long that takes. Its zero value is ready to use, also from many
// goroutines.
type Reader struct {
	caller single.Caller[any]
}

// Stat returns what is at path, having followed symbolic links. Errors wrap a
// [*fs.PathError], or are the cause of the context's end.
func (r *Reader) Stat(ctx context.Context, path string) (os.FileInfo, error) {
	return do(ctx, r, "stat", path, func() (os.FileInfo, error) { return os.Stat(path) })
}

// Read returns the content of the regular file at path, having followed symbolic
// links. More than max bytes are [ErrTooLarge]. Errors wrap a [*fs.PathError], or
// are the cause of the context's end.
func (r *Reader) Read(ctx context.Context, path string, max int64) ([]byte, error) {
	return do(ctx, r, "read", path, func() ([]byte, error) { return read(path, max) })
}

// Occupy stands for an access that hangs until the channel is closed, for tests.
func (r *Reader) Occupy(until <-chan struct{}) {
	r.caller.Start(func() (any, error) { <-until; return nil, nil })
}

// do runs an access where it may hang.
func do[T any](ctx context.Context, r *Reader, op, path string, access func() (T, error)) (T, error) {
	got, err := r.caller.Do(ctx, Limit, func() (any, error) {
		value, err := access()
		return value, err
	})
	if errors.Is(err, single.ErrNoAnswer) {
		err = &fs.PathError{Op: op, Path: path, Err: ErrHangs}
	}
	value, _ := got.(T)
	return value, err
}

func read(path string, max int64) ([]byte, error) {
	// To open a device can already do something, such as to rewind a tape, so what
	// is there is looked at first.
	info, err := os.Stat(path)
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		return nil, err
	}
	return open(path, max)
}

// open opens a file and reads it. What was opened is looked at again, because it may
// be another one by then.
func open(path string, max int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|WithoutWaiting, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		return nil, err
	}
	return content(path, f, max)
}

// content counts the bytes, whatever size the file says that it has: it may grow while
// it is read, and some of /proc say that they are empty.
func content(path string, f io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > max:
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	}
	return data, nil
}

func check(path string, info os.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w but %s", ErrNotRegular, kind(info.Mode()))}
}

// kind names what isn't a regular file.
func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
