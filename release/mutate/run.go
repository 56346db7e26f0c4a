package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// verdict is what the tests say of a mutant.
type verdict int

const (
	killed    verdict = iota + 1 // a test failed, or didn't end in time
	survived                     // every test passed
	uncovered                    // no test gets there
	broken                       // it doesn't compile
)

// packageMutants finds the mutants of the files that are built on this system.
func packageMutants(ctx context.Context, s settings) ([]mutant, error) {
	out, err := output(ctx, s.dir, "go", "list", "-json=Dir,GoFiles,CgoFiles", ".")
	if err != nil {
		return nil, err
	}
	var listed struct {
		Dir               string
		GoFiles, CgoFiles []string
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		return nil, err
	}
	var all []mutant
	for _, name := range append(listed.GoFiles, listed.CgoFiles...) {
		if matched, err := path.Match(s.files, name); err != nil {
			return nil, err
		} else if s.files != "" && !matched {
			continue
		}
		file := filepath.Join(listed.Dir, name)
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := fileMutants(file, src)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			m.path, m.file = file, filepath.ToSlash(filepath.Join(s.dir, name))
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing to change in %s", s.dir)
	}
	return all, nil
}

// judge runs the tests for each mutant.
func judge(ctx context.Context, s settings, mutants []mutant) ([]verdict, error) {
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	covered, took, err := baseline(ctx, s, work)
	if err != nil {
		return nil, err
	}
	if s.timeout == 0 {
		s.timeout = 10*time.Second + 5*took
	}
	fmt.Fprintf(
		os.Stderr,
		"%d changes, each judged by tests that take %v unchanged\n",
		len(mutants),
		took.Round(time.Second/10),
	)

	results, errs := make([]verdict, len(mutants)), make([]error, len(mutants))
	next := make(chan int)
	var wg sync.WaitGroup
	for range s.workers {
		wg.Go(func() {
			for i := range next {
				if !covered.has(mutants[i]) {
					results[i] = uncovered
					continue
				}
				results[i], errs[i] = try(ctx, s, filepath.Join(work, fmt.Sprint(i)), mutants[i])
				if results[i] == survived {
					fmt.Fprintln(os.Stderr, "survived:", mutants[i]) // for those who don't wait for the end
				}
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	wg.Wait()
	return results, errors.Join(errs...)
}

// baseline runs the tests unchanged, which must pass, and reports what they cover
// and how long they take.
func baseline(ctx context.Context, s settings, work string) (coverage, time.Duration, error) {
	importPath, err := output(ctx, s.dir, "go", "list", ".")
	if err != nil {
		return nil, 0, err
	}
	covered := coverage{}
	var took time.Duration
	for i, dir := range s.tests {
		profile := filepath.Join(work, fmt.Sprintf("cover%d", i))
		args := append(testArgs(s), "-coverprofile", profile, "-coverpkg", strings.TrimSpace(string(importPath)), ".")
		start := time.Now()
		if out, err := output(ctx, dir, "go", args...); err != nil {
			return nil, 0, fmt.Errorf("the tests of %s don't pass unchanged: %w\n%s", dir, err, out)
		}
		took += time.Since(start)
		if err := covered.read(profile); err != nil {
			return nil, 0, err
		}
	}
	return covered, took, nil
}

func testArgs(s settings) []string {
	return []string{"test", "-short", "-failfast", "-vet=off", "-count=1", "-run", s.run}
}

// try runs the tests with one change, until one of the packages fails.
func try(ctx context.Context, s settings, work string, m mutant) (verdict, error) {
	src, err := os.ReadFile(m.path)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(work+".go", m.apply(src), 0o600); err != nil {
		return 0, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{m.path: work + ".go"}})
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(work+".json", overlay, 0o600); err != nil {
		return 0, err
	}
	for _, dir := range s.tests {
		// The limit of the process is for tests that don't even stop at their own.
		limited, cancel := context.WithTimeout(ctx, 2*s.timeout+2*time.Minute)
		out, err := output(
			limited,
			dir,
			"go",
			append(testArgs(s), "-overlay", work+".json", "-timeout", s.timeout.String(), ".")...)
		cancel()
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err == nil:
			continue
		case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
			return broken, nil
		}
		return killed, nil
	}
	return survived, nil
}

// output runs a command in a folder. What it wrote is returned with an error too.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // a test may leave a child that holds the pipe
	return cmd.CombinedOutput()
}
