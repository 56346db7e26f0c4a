package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/certtoken/certtoken/release/internal/licence"
)

const ours = "github.com/certtoken/certtoken"

// part is a module whose code is in the command.
type part struct {
	path, version string
	sum           string // of go.sum; "" for ours and Go's
	licence       string // SPDX expression
	texts         []licence.Text
}

// partsOf reads which modules a command was built of, from the command itself, and their
// licences. The first is the command's module. A licence that isn't allowed is an error.
func (r release) partsOf(command []byte) ([]part, error) {
	info, err := buildinfo.Read(bytes.NewReader(command))
	if err != nil {
		return nil, err
	}
	parts := []part{{path: info.Main.Path, version: r.version}}
	var others []string
	for _, dep := range info.Deps {
		switch {
		case dep.Path == ours || strings.HasPrefix(dep.Path, ours+"/"):
			parts = append(parts, part{path: dep.Path, version: r.version})
		case dep.Replace != nil:
			return nil, fmt.Errorf("%s is replaced", dep.Path)
		default:
			parts = append(parts, part{path: dep.Path, version: dep.Version, sum: dep.Sum})
			others = append(others, dep.Path+"@"+dep.Version)
		}
	}
	folders, err := r.download(others)
	if err != nil {
		return nil, err
	}
	goroot, err := r.run([]string{"GOWORK=off"}, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	parts = append(parts, part{path: "std", version: goVersion})
	folders["std@"+goVersion] = goroot
	for i := range parts {
		p := &parts[i]
		folder, foreign := folders[p.path+"@"+p.version]
		if !foreign {
			folder = r.root
		}
		if err := p.readLicence(folder); err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
	}
	return parts, nil
}

func (p *part) readLicence(folder string) (err error) {
	if p.licence, err = licence.Of(folder); err != nil {
		return err
	}
	if !licence.Allowed(p.licence, licence.Shipped) {
		return fmt.Errorf("the licence %s is not one that may be shipped", p.licence)
	}
	p.texts, err = licence.Texts(folder)
	return err
}

func (p part) isOurs() bool { return p.path == ours || strings.HasPrefix(p.path, ours+"/") }

// download finds modules in the module cache, and gets those that aren't there.
func (r release) download(modules []string) (map[string]string, error) {
	folders := map[string]string{}
	out, err := r.run([]string{"GOWORK=off"}, "go", append([]string{"-C", filepath.Join("cmd", "certtoken"),
		"mod", "download", "-json"}, modules...)...)
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, err
		}
		folders[m.Path+"@"+m.Version] = m.Dir
	}
}

// notices are the licences of everybody else whose code is in the command, as these
// licences ask of who passes the code on.
func notices(parts []part) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "certtoken contains the work of others, under these licences.\n")
	for _, p := range parts {
		if p.isOurs() {
			continue
		}
		name := p.path
		if name == "std" {
			name = "Go's standard library"
		}
		for _, t := range p.texts {
			fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n%s\n\n%s\n", strings.Repeat("=", 78), name, p.version, p.licence,
				strings.Repeat("-", 78), strings.TrimSpace(t.Text))
		}
	}
	return b.Bytes()
}
