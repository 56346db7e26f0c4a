//go:build unix

package input

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := File(name, nil).Limit(4).Read(t.Context()); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := File(name, nil).Limit(3).Read(t.Context()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	_, err := File(name+"x", nil).Read(t.Context())
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), name+"x: ") {
		t.Errorf("no file: %v", err)
	}
	if _, err := File(filepath.Dir(name), nil).Read(t.Context()); err == nil {
		t.Error("a folder was read")
	}
	if _, err := File("/dev/zero", nil).Read(t.Context()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("no end: %v", err)
	}
}

// A pipe is read to its end.
func TestReadPipe(t *testing.T) {
	name := fifo(t)
	go func() { _ = os.WriteFile(name, []byte("text"), 0) }() // ends when it was read
	if data, err := File(name, nil).Read(t.Context()); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if data, err := File("-", read).Read(t.Context()); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

// A pipe that no program writes to, or that never ends, is given up. The reader is left
// behind until the pipe's other end is closed.
func TestReadGivesUp(t *testing.T) {
	unwritten := fifo(t)
	endless := fifo(t)
	writer, err := os.OpenFile(endless, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, err := writer.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{unwritten, endless} {
		s := File(name, nil)
		s.wait = time.Millisecond
		_, err := s.Read(t.Context())
		if !errors.Is(err, ErrSilent) || !strings.HasPrefix(err.Error(), name+": ") || len(failure.Advice(err)) == 0 {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := File(name, nil).Read(ctx); !errors.Is(err, failure.ErrInterrupted) {
			t.Errorf("interrupted: %v", err)
		}
	}
	release, err := os.OpenFile(unwritten, os.O_RDWR, 0) // lets the readers' opening return
	if err != nil {
		t.Fatal(err)
	}
	release.Close()
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"pä":                       "pä",
		"\xef\xbb\xbfpä":           "pä",
		"\xff\xfep\x00\xe4\x00":    "pä",
		"\xfe\xff\x00p\x00\xe4":    "pä",
		"\xff\xfe\x3d\xd8\x00\xde": "😀",
		"\xff\xfep\x00\xe4":        "p",
		"p\x00\xe4\x00\n\x00":      "pä\n", // without a mark
		"\x00p\x00\xe4":            "pä",
		"p\x00\x00\x00":            "p\x00\x00\x00",
		"p\x00a":                   "p\x00a",
		"pa\x00b":                  "pa\x00b",
		"":                         "",
		"\xff":                     "\xff",
	} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
