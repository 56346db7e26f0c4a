package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A link that is put in the file's place after check has looked isn't followed to
// a file that doesn't exist.
func TestCAFileFollowsNoDanglingLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := caFile(link).check(t.Context()); err == nil {
		t.Error("check takes it")
	}
	if _, _, err := caFile(link).write([]byte("CA")); err == nil {
		t.Error("it was written")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link's target was made")
	}
}
