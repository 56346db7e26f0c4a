package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

const (
	summary     = "certificate in, access token out"
	description = `certtoken proves who an application is with its certificate and gets an access
token for it: from Microsoft Entra ID, ADFS, or any OAuth server that takes
private_key_jwt (RFC 7523).`
	homepage   = "https://" + ours
	maintainer = "The certtoken authors <certtoken@users.noreply.github.com>"
)

// writeLinuxPackages writes the .deb and the .rpm package.
func (p product) writeLinuxPackages(folder string) error {
	for format, zsh := range map[string]string{
		"deb": "usr/share/zsh/vendor-completions",
		"rpm": "usr/share/zsh/site-functions",
	} {
		if err := p.writeLinuxPackage(format, p.installed(zsh), folder); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

func (p product) writeLinuxPackage(format string, installed []file, folder string) error {
	work, err := os.MkdirTemp("", "certtoken-"+format+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	info := &nfpm.Info{
		Name: "certtoken", Arch: p.target.arch, Platform: "linux", Version: "v" + p.version, VersionSchema: "semver",
		Section: "utils", Priority: "optional", Maintainer: maintainer, Vendor: "certtoken", Homepage: homepage,
		License: "MIT", Description: summary + "\n" + description, DisableGlobbing: true, MTime: p.date,
	}
	info.Recommends = []string{"ca-certificates"} // what TLS trusts
	if format == "rpm" {                          // which has the summary apart
		info.Description = description
	}
	info.RPM.BuildHost = "localhost" // else this machine's name would be in the package
	info.RPM.Summary = summary
	if info.Contents, err = p.staged(installed, work); err != nil {
		return err
	}
	if err := setScripts(info, installed, work); err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(nfpm.WithDefaults(info), format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := packager.Package(info, &b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, packager.ConventionalFileName(info)), b.Bytes(), 0o644)
}

// staged writes the files into a folder, from where the packager takes them.
func (p product) staged(installed []file, work string) (files.Contents, error) {
	var contents files.Contents
	for i, f := range installed {
		source := filepath.Join(work, fmt.Sprintf("%03d", i))
		if err := os.WriteFile(source, f.data, 0o600); err != nil {
			return nil, err
		}
		kind := files.TypeFile
		if f.kept {
			kind = files.TypeConfigNoReplace
		}
		contents = append(contents, &files.Content{
			Source: source, Destination: "/" + f.name, Type: kind,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: f.mode, MTime: p.date},
		})
	}
	return contents, nil
}

// setScripts gives a package with units the scripts by which systemd learns of them. No
// unit is enabled or started: that is for the administrator to decide.
func setScripts(info *nfpm.Info, installed []file, work string) error {
	var units []string
	for _, f := range installed {
		if dir, name := filepath.Split(f.name); dir == systemFolders["systemd"]+"/" && !strings.Contains(name, "@.") {
			units = append(units, name)
		}
	}
	if len(units) == 0 {
		return nil
	}
	slices.Sort(units)
	info.Scripts = nfpm.Scripts{
		PostInstall: filepath.Join(work, "postinstall"),
		PreRemove:   filepath.Join(work, "preremove"),
		PostRemove:  filepath.Join(work, "postremove"),
	}
	for name, script := range map[string]string{
		info.Scripts.PostInstall: afterInstall,
		info.Scripts.PreRemove:   fmt.Sprintf(beforeRemove, strings.Join(units, " ")),
		info.Scripts.PostRemove:  afterRemove,
	} {
		if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// The scripts do nothing where systemd doesn't run, and a failure of systemd isn't one of
// the package's. The argument of the second says whether the package goes (remove of
// dpkg, 0 of rpm) or a newer one takes its place.
const (
	afterInstall = `#!/bin/sh
if command -v systemd-sysusers >/dev/null; then systemd-sysusers || true; fi
if [ -d /run/systemd/system ]; then
	systemd-tmpfiles --create || true
	systemctl daemon-reload || true
fi
`
	beforeRemove = `#!/bin/sh
if [ -d /run/systemd/system ]; then
	case "$1" in
	remove | 0) systemctl --no-reload disable --now %s || true ;;
	esac
fi
`
	afterRemove = `#!/bin/sh
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
`
)
