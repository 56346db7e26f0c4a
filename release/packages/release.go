package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is what is packed.
type release struct {
	root    string    // folder of the repository
	tag     string    // of the published version; "": this checkout
	version string    // without v; of a checkout, one that sorts before the next release
	commit  string    // "" if there is no git here
	date    time.Time // of the commit: the time of every file
}

var (
	tagForm       = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)
	versionInCode = regexp.MustCompile(`(?m)^const version = "([^"]+)"$`)
)

// releaseOf says what is packed in this folder. The time is the commit's, or
// SOURCE_DATE_EPOCH where that is set, as it must be without git.
func releaseOf(root, tag string) (release, error) {
	code, err := os.ReadFile(filepath.Join(root, "client.go"))
	if err != nil {
		return release{}, fmt.Errorf("this is not the repository's root: %w", err)
	}
	next := versionInCode.FindSubmatch(code)
	if next == nil {
		return release{}, errors.New("client.go has no version")
	}
	if root, err = filepath.Abs(root); err != nil {
		return release{}, err
	}
	r := release{root: root, tag: tag}
	if head, err := r.git("log", "-1", "--format=%H %ct"); err == nil {
		commit, seconds, _ := strings.Cut(head, " ")
		r.commit = commit
		if r.date, err = parseEpoch(seconds); err != nil {
			return release{}, err
		}
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		if r.date, err = parseEpoch(epoch); err != nil {
			return release{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
	}
	if r.date.IsZero() {
		return release{}, errors.New("without git, SOURCE_DATE_EPOCH must say which time the files have")
	}
	if tag == "" {
		r.version, err = r.checkoutVersion(string(next[1]))
		return r, err
	}
	r.version = strings.TrimPrefix(tag, "v")
	return r, r.mustBeTag()
}

// checkoutVersion is the version of what isn't released: the next one's, the commit's
// time, by which two of them sort, and the commit.
func (r release) checkoutVersion(next string) (string, error) {
	version := next + "-dev." + r.date.Format("20060102150405")
	if r.commit == "" {
		return version, nil
	}
	changes, err := r.git("status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return "", err
	}
	version += ".g" + r.commit[:8]
	if changes != "" {
		version += ".changed"
	}
	return version, nil
}

// mustBeTag makes sure that what comes from the checkout (documents, units) is of the
// same commit as the command, which comes from the module proxy.
func (r release) mustBeTag() error {
	if !tagForm.MatchString(r.tag) {
		return fmt.Errorf("the version %q must look like v0.1.0", r.tag)
	}
	commit, err := r.git("rev-parse", "--verify", "--quiet", r.tag+"^{commit}")
	if err != nil || commit != r.commit {
		return fmt.Errorf("the checkout is not %s: git checkout %s", r.tag, r.tag)
	}
	changes, err := r.git("status", "--porcelain", "--untracked-files=no")
	if err == nil && changes != "" {
		err = errors.New("there are changes that aren't committed")
	}
	return err
}

func (r release) git(args ...string) (string, error) {
	return r.run(nil, "git", args...)
}

// run runs a program in the repository and returns what it printed.
func (r release) run(env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimRight(string(out), "\n"), nil
}

func parseEpoch(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}
