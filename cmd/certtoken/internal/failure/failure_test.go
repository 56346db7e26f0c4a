package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestError(t *testing.T) {
	inner := Errorf("inner: %w", fs.ErrExist).Advise("one", "two")
	outer := Usagef("outer: %w", inner)
	if outer.Error() != "outer: inner: file already exists" || !errors.Is(outer, fs.ErrExist) {
		t.Error(outer)
	}
	if !IsUsage(fmt.Errorf("a: %w", outer)) || IsUsage(inner) || IsUsage(fs.ErrExist) || IsUsage(nil) {
		t.Error("wrong usage is mistaken")
	}
}

// The advice nearest to the outside counts.
func TestAdvice(t *testing.T) {
	inner := Errorf("inner").Advise("one", "two")
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{nil, nil},
		{fs.ErrExist, nil},
		{Errorf("alone"), nil},
		{inner, []string{"one", "two"}},
		{fmt.Errorf("a: %w", Usagef("b: %w", fmt.Errorf("c: %w", inner))), []string{"one", "two"}},
		{Errorf("outer: %w", inner).Advise("three"), []string{"three"}},
	} {
		if got := Advice(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	_, err := os.Open(name)
	if got := File(err); !errors.Is(got, fs.ErrNotExist) || got.Error() != name+": "+errors.Unwrap(err).Error() {
		t.Error(got)
	}
	err = os.Rename(name, name+"2")
	if got := File(err); !errors.Is(got, fs.ErrNotExist) || got.Error() != name+"2: "+errors.Unwrap(err).Error() {
		t.Error(got)
	}
	if got := File(fs.ErrClosed); got != fs.ErrClosed {
		t.Error(got)
	}
}

func TestClean(t *testing.T) {
	err := fmt.Errorf("certtoken: a: selfsigned: b: certtokentest: %w", fs.ErrExist)
	if got := Clean(err); got.Error() != "a: b: file already exists" || !errors.Is(got, fs.ErrExist) {
		t.Error(got)
	}
	if Clean(nil) != nil {
		t.Error("an error from nothing")
	}
}
