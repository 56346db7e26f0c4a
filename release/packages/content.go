package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// file is a file, or by its mode a folder, of an archive, a package or an image.
type file struct {
	name  string // with /, and without / at its beginning
	data  []byte
	mode  fs.FileMode
	owner int  // user and group
	kept  bool // a file of settings: an upgrade doesn't replace what was changed in it
}

// content is what is the same for every system.
type content struct {
	licence, readme, reference, changelog []byte
	pages, completions, packaging         []file
}

// product is what is shipped for one system.
type product struct {
	release
	content
	target  target
	command []byte
	sbom    []byte // CycloneDX
	notices []byte // the licences of everybody whose code is in the command
}

// baseName begins the names of the system's files.
func (p product) baseName() string {
	return "certtoken_" + p.version + "_" + p.target.os + "_" + p.target.arch
}

// packagingFolder has what Linux packages install beside the command, such as systemd's
// units. It may be absent.
const packagingFolder = "cmd/certtoken/packaging"

// sharedContent reads the documents, and has the command, built for this machine, write
// its man pages and completions.
func (r release) sharedContent(work string) (content, error) {
	var c content
	for name, into := range map[string]*[]byte{
		"LICENSE":                   &c.licence,
		"cmd/certtoken/README.md":   &c.readme,
		"cmd/certtoken/docs/cli.md": &c.reference,
		"CHANGELOG.md":              &c.changelog,
	} {
		data, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return c, err
		}
		*into = data
	}
	c.readme = bytes.ReplaceAll(c.readme, []byte("](../../docs/"), []byte("](https://"+ours+"/blob/main/docs/"))
	command, err := r.compile(target{runtime.GOOS, runtime.GOARCH}, filepath.Join(work, "host"))
	if err != nil {
		return c, err
	}
	folder := filepath.Join(work, "man")
	if _, err := r.run([]string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix())}, command, "man", folder); err != nil {
		return c, err
	}
	if c.pages, err = filesBelow(folder); err != nil {
		return c, err
	}
	for shell, name := range map[string]string{
		"bash": "certtoken.bash", "fish": "certtoken.fish", "powershell": "certtoken.ps1", "zsh": "_certtoken",
	} {
		script, err := r.run(nil, command, "completion", shell)
		if err != nil {
			return c, err
		}
		c.completions = append(c.completions, file{name: name, data: []byte(script + "\n"), mode: 0o644})
	}
	c.packaging, err = filesBelow(filepath.Join(r.root, packagingFolder))
	return c, err
}

// build compiles the command for a system and reads what is in it.
func (r release) build(t target, work string, shared content) (product, error) {
	p := product{release: r, content: shared, target: t}
	name, err := r.compile(t, work)
	if err != nil {
		return p, err
	}
	if p.command, err = os.ReadFile(name); err != nil {
		return p, err
	}
	parts, err := r.partsOf(p.command)
	if err != nil {
		return p, err
	}
	p.notices = notices(parts)
	p.sbom, err = p.writeSBOM(parts)
	return p, err
}

// filesBelow reads the files below a folder, which may be absent. A file that its owner
// may execute is executable for all.
func filesBelow(folder string) ([]file, error) {
	var found []file
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		relative, err := filepath.Rel(folder, name)
		found = append(found, file{name: filepath.ToSlash(relative), data: data, mode: mode})
		return err
	})
	if os.IsNotExist(err) {
		return nil, nil
	}
	return found, err
}

// archived are the files of the system's archive.
func (p product) archived() []file {
	files := []file{
		{name: p.target.command(), data: p.command, mode: 0o755},
		{name: "LICENSE", data: p.licence, mode: 0o644},
		{name: "THIRD-PARTY.txt", data: p.notices, mode: 0o644},
		{name: "README.md", data: p.readme, mode: 0o644},
		{name: "CHANGELOG.md", data: p.changelog, mode: 0o644},
		{name: "docs/cli.md", data: p.reference, mode: 0o644},
		{name: "sbom.cdx.json", data: p.sbom, mode: 0o644},
	}
	files = append(files, below("completions", p.completions)...)
	if p.target.os != "windows" {
		files = append(files, below("man/man1", p.pages)...)
	}
	if p.target.os == "linux" {
		files = append(files, below("packaging", p.packaging)...)
	}
	return files
}

// documents are the files of a folder of /usr/share/doc.
func (p product) documents() []file {
	copyright := append(bytes.Clone(p.licence), "\n"...)
	return below("usr/share/doc/certtoken", []file{
		{name: "README.md", data: p.readme, mode: 0o644},
		{name: "docs/cli.md", data: p.reference, mode: 0o644},
		{name: "CHANGELOG.md", data: p.changelog, mode: 0o644},
		{name: "copyright", data: append(copyright, p.notices...), mode: 0o644},
		{name: "sbom.cdx.json", data: p.sbom, mode: 0o644},
	})
}

// installed are the files that a Linux package puts into the system.
func (p product) installed(zshFolder string) []file {
	files := []file{{name: "usr/bin/certtoken", data: p.command, mode: 0o755}}
	files = append(files, p.documents()...)
	for _, page := range p.pages {
		files = append(files, file{name: "usr/share/man/man1/" + page.name + ".gz", data: zipped(page.data), mode: 0o644})
	}
	for _, c := range p.completions {
		if name, ok := map[string]string{
			"certtoken.bash": "usr/share/bash-completion/completions/certtoken",
			"certtoken.fish": "usr/share/fish/vendor_completions.d/certtoken.fish",
			"_certtoken":     zshFolder + "/_certtoken",
		}[c.name]; ok {
			files = append(files, file{name: name, data: c.data, mode: c.mode})
		}
	}
	for _, f := range p.packaging {
		files = append(files, place(f))
	}
	return files
}

// systemFolders are where the system looks for what stands in a folder of packaging.
var systemFolders = map[string]string{
	"systemd":    "usr/lib/systemd/system",
	"sysusers.d": "usr/lib/sysusers.d",
	"tmpfiles.d": "usr/lib/tmpfiles.d",
	"etc":        "etc",
}

// place gives a file of packaging the name that it has in the system. What the system
// doesn't look for is an example. A unit starts the command where a package has it; the
// file itself is for those who have put it into /usr/local by hand.
func place(f file) file {
	folder, rest, _ := strings.Cut(f.name, "/")
	to, known := systemFolders[folder]
	if !known || rest == "" || folder == "systemd" && !isUnit(rest) {
		f.name = "usr/share/doc/certtoken/examples/" + f.name
		return f
	}
	if folder == "systemd" {
		f.data = bytes.ReplaceAll(f.data, []byte("/usr/local/bin/certtoken"), []byte("/usr/bin/certtoken"))
	}
	f.name = path.Join(to, rest)
	f.kept = folder == "etc"
	return f
}

// isUnit reports whether systemd reads a file of this name (systemd.unit(5)).
func isUnit(name string) bool {
	if dir, _, nested := strings.Cut(name, "/"); nested {
		return strings.HasSuffix(dir, ".d") && path.Ext(name) == ".conf"
	}
	switch path.Ext(name) {
	case ".service", ".socket", ".timer", ".path", ".target", ".slice", ".mount":
		return true
	}
	return false
}

// below puts files into a folder.
func below(folder string, files []file) []file {
	moved := make([]file, len(files))
	for i, f := range files {
		f.name = path.Join(folder, f.name)
		moved[i] = f
	}
	return moved
}

// zipped is data by gzip, without name and time, as gzip -n writes it.
func zipped(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.DefaultCompression)
	if err != nil {
		panic(err) // only for a level that doesn't exist
	}
	_, _ = w.Write(data) // neither fails: a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
