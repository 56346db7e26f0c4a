// Package checkout copies this repository for tests that change it or need it as others
// have it.
package checkout

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moment is the time of the copy's commit, so that copies of the same files are the same
// commit.
const moment = "2026-01-02T03:04:05Z"

// Copy makes a repository of the files as they are now, with one commit on the branch main,
// so that what isn't committed yet is tested too.
func Copy(from, to string) error {
	list, err := git(from, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(list, "\x00") {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"config", "user.name", "Release Test"},
		{"config", "user.email", "release@example.com"},
		// What the user has set for all repositories must not count here, and nothing may go on
		// in the background when the copy is removed.
		{"config", "commit.gpgSign", "false"},
		{"config", "tag.gpgSign", "false"},
		{"config", "gc.auto", "0"},
		{"config", "maintenance.auto", "false"},
	} {
		if _, err := git(to, args...); err != nil {
			return err
		}
	}
	return Commit(to)
}

// Commit commits all files of a repository.
func Commit(root string) error {
	if _, err := git(root, "add", "--all"); err != nil {
		return err
	}
	_, err := git(root, "commit", "--quiet", "--message", "test")
	return err
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil // removed and not committed, or the list's end
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed just now
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE="+moment, "GIT_COMMITTER_DATE="+moment)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
