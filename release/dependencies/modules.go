package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/release/internal/licence"
)

// own is one of the workspace's modules.
type own struct {
	Path, Dir string
	Requires  []requirement
}

// requirement is a line of go.mod. With the graph pruned, these are all the
// modules of which a package is built or tested.
type requirement struct {
	Path, Version string
	Indirect      bool
	Built         bool `json:"-"` // in what users build; else in tests only
}

// dependency is a version of somebody else's module.
type dependency struct {
	Path, Version, Licence string
	Released               string // day of this version
}

func (r requirement) id() string { return r.Path + "@" + r.Version }

// Name is the module's folder.
func (m own) Name() string {
	name := strings.TrimPrefix(strings.TrimPrefix(m.Path, prefix), "/")
	if name == "" {
		return "root"
	}
	return name
}

const prefix = "github.com/certtoken/certtoken"

// published reports whether the module is for users, as are the examples of
// extensions.
func (m own) published() bool {
	name := m.Name()
	return name == "root" || name == "agent" || strings.HasPrefix(name, "ext/") || strings.HasPrefix(name, "cmd/")
}

// systems are those that the modules are built for.
var systems = []string{"linux/amd64", "windows/amd64", "darwin/arm64"}

// workspace reads the modules of go.work, and what each requires.
func workspace(root string) ([]own, error) {
	var modules []own
	err := list(root, []string{"GOWORK=" + filepath.Join(root, "go.work")}, &modules, "go", "list", "-m", "-json")
	if err != nil {
		return nil, err
	}
	for i := range modules {
		m := &modules[i]
		var file []struct{ Require []requirement }
		if err := list(m.Dir, []string{"GOWORK=off"}, &file, "go", "mod", "edit", "-json"); err != nil {
			return nil, err
		}
		built, err := builtBy(*m)
		if err != nil {
			return nil, err
		}
		for _, r := range file[0].Require {
			if r.Path != prefix && !strings.HasPrefix(r.Path, prefix+"/") {
				r.Built = built[r.Path]
				m.Requires = append(m.Requires, r)
			}
		}
		slices.SortFunc(m.Requires, func(a, b requirement) int { return strings.Compare(a.Path, b.Path) })
	}
	return modules, nil
}

// builtBy holds the modules that the module's packages need on any system,
// without the tests. A module that isn't published is built by its own tests only.
func builtBy(m own) (map[string]bool, error) {
	built := map[string]bool{}
	if !m.published() {
		return built, nil
	}
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		out, err := run(m.Dir, []string{"GOWORK=off", "CGO_ENABLED=1", "GOOS=" + goos, "GOARCH=" + goarch},
			"go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
		if err != nil {
			return nil, err
		}
		for _, path := range strings.Fields(string(out)) {
			built[path] = true
		}
	}
	return built, nil
}

// dependencies downloads what the modules require and reads the licences.
func dependencies(modules []own) (map[string]dependency, error) {
	var ids []string
	for _, m := range modules {
		for _, r := range m.Requires {
			ids = append(ids, r.id())
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)

	var downloads []struct{ Path, Version, Info, Dir, Error string }
	args := append([]string{"go", "mod", "download", "-json"}, ids...)
	// Outside of our modules there is no go.sum, so that the checksum database would be asked for
	// each of hundreds of modules. Whatever is built of them is held against our go.sum.
	env := []string{"GOWORK=off", "GONOSUMDB=*"}
	if err := list(os.TempDir(), env, &downloads, args...); err != nil {
		return nil, err
	}
	found := map[string]dependency{}
	var failed []error
	for _, d := range downloads {
		id := d.Path + "@" + d.Version
		granted, err := licence.Of(d.Dir)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
			continue
		}
		data, err := os.ReadFile(d.Info)
		if err != nil {
			return nil, err
		}
		var info struct{ Time time.Time }
		if err := json.Unmarshal(data, &info); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		found[id] = dependency{d.Path, d.Version, granted, info.Time.Format(time.DateOnly)}
	}
	return found, errors.Join(failed...)
}

// latest asks the module proxy for the newest release of each path that a
// published module requires.
func latest(modules []own) (map[string]string, error) {
	var queries []string
	for _, m := range modules {
		if m.published() {
			for _, r := range m.Requires {
				queries = append(queries, r.Path+"@latest")
			}
		}
	}
	slices.Sort(queries)
	var answers []struct {
		Path, Version string
		Time          time.Time
	}
	args := append([]string{"go", "list", "-m", "-json"}, slices.Compact(queries)...)
	if err := list(os.TempDir(), []string{"GOWORK=off", "GOFLAGS=-mod=mod"}, &answers, args...); err != nil {
		return nil, err
	}
	newest := map[string]string{}
	for _, a := range answers {
		newest[a.Path] = fmt.Sprintf("%s, %s", a.Version, a.Time.Format(time.DateOnly))
	}
	return newest, nil
}

// readByHand are npm packages that state their licence in their README alone.
var readByHand = map[string]string{"only@0.0.2": "MIT"}

// npmLicences counts the licences in interop's lock files, by folder.
func npmLicences(root string) (map[string]map[string]int, error) {
	files, err := filepath.Glob(filepath.Join(root, "interop/*/package-lock.json"))
	if err != nil {
		return nil, err
	}
	counts := map[string]map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var lock struct {
			Packages map[string]struct{ Version, License string }
		}
		if err := json.Unmarshal(data, &lock); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		count := map[string]int{}
		for path, p := range lock.Packages {
			if path != "" { // our own
				name := path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
				count[cmp.Or(p.License, readByHand[name+"@"+p.Version], "none: "+name+"@"+p.Version)]++
			}
		}
		counts["interop/"+filepath.Base(filepath.Dir(file))] = count
	}
	return counts, nil
}

// list decodes the stream of JSON values that a command prints.
func list[T any](dir string, env []string, into *[]T, command ...string) error {
	out, err := run(dir, env, command...)
	if err != nil {
		return err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var v T
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		*into = append(*into, v)
	}
}

func run(dir string, env []string, command ...string) ([]byte, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w\n%s", strings.Join(command[:3], " "), dir, err, stderr.String())
	}
	return out, nil
}
