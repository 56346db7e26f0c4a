package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What stands in the folder packaging is installed where the system looks for it.
func TestPackaging(t *testing.T) {
	for name, want := range map[string]file{
		"systemd/certtoken-agent.service":           {name: "usr/lib/systemd/system/certtoken-agent.service"},
		"systemd/certtoken-agent.service.d/10.conf": {name: "usr/lib/systemd/system/certtoken-agent.service.d/10.conf"},
		"systemd/certtoken-rotate@.timer":           {name: "usr/lib/systemd/system/certtoken-rotate@.timer"},
		"systemd/rotate.env":                        {name: "usr/share/doc/certtoken/examples/systemd/rotate.env"},
		"sysusers.d/certtoken.conf":                 {name: "usr/lib/sysusers.d/certtoken.conf"},
		"tmpfiles.d/certtoken.conf":                 {name: "usr/lib/tmpfiles.d/certtoken.conf"},
		"etc/certtoken/agent.yaml":                  {name: "etc/certtoken/agent.yaml", kept: true},
		"systemd/agent.yaml":                        {name: "usr/share/doc/certtoken/examples/systemd/agent.yaml"},
		"kubernetes/sidecar.yaml":                   {name: "usr/share/doc/certtoken/examples/kubernetes/sidecar.yaml"},
		"agent.yaml":                                {name: "usr/share/doc/certtoken/examples/agent.yaml"},
		"launchd/certtoken.plist":                   {name: "usr/share/doc/certtoken/examples/launchd/certtoken.plist"},
		"systemd":                                   {name: "usr/share/doc/certtoken/examples/systemd"},
	} {
		assert.Equal(t, want, place(file{name: name}), name)
	}
	unit := place(file{name: "systemd/x.service", data: []byte("ExecStart=/usr/local/bin/certtoken agent\n")})
	assert.Equal(t, "ExecStart=/usr/bin/certtoken agent\n", string(unit.data), "where the package has the command")
}

func TestFilesBelow(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "a"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a/plain"), []byte("1"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "run"), []byte("2"), 0o700))
	files, err := filesBelow(folder)
	require.NoError(t, err)
	assert.Equal(t, []file{
		{name: "a/plain", data: []byte("1"), mode: 0o644},
		{name: "run", data: []byte("2"), mode: 0o755},
	}, files)

	none, err := filesBelow(filepath.Join(folder, "absent"))
	require.NoError(t, err)
	assert.Empty(t, none)
	require.NoError(t, os.Symlink("run", filepath.Join(folder, "link")))
	_, err = filesBelow(folder)
	assert.ErrorContains(t, err, "not a file", "a link may lead out of the folder")
}

// A package with units has scripts that are right for sh, and settings that stay.
func TestPackageWithUnits(t *testing.T) {
	need(t, "dpkg-deb", "sh")
	p := product{
		release: release{version: "1.2.3", date: time.Unix(1767323045, 0)}, target: target{"linux", "amd64"},
		content: content{packaging: []file{
			{name: "systemd/certtoken-agent.service", data: []byte("[Unit]\n"), mode: 0o644},
			{name: "systemd/certtoken-renew@.service", data: []byte("[Unit]\n"), mode: 0o644},
			{name: "etc/certtoken/agent.yaml", data: []byte("listen: x\n"), mode: 0o644},
		}},
	}
	folder := t.TempDir()
	require.NoError(t, p.writeLinuxPackages(folder))
	control := filepath.Join(folder, "control")
	output(t, exec.Command("dpkg-deb", "--control", filepath.Join(folder, "certtoken_1.2.3_amd64.deb"), control))
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(control, name))
		require.NoError(t, err)
		return string(data)
	}
	assert.Equal(t, "/etc/certtoken/agent.yaml\n", read("conffiles"))
	assert.Contains(t, read("prerm"), "disable --now certtoken-agent.service ||", "not the template")
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		for _, argument := range []string{"configure", "upgrade", "remove"} {
			output(t, exec.Command("sh", "-eun", filepath.Join(control, script), argument))
		}
	}

	p.packaging = nil
	plain := t.TempDir()
	require.NoError(t, p.writeLinuxPackages(plain))
	control = filepath.Join(plain, "control")
	output(t, exec.Command("dpkg-deb", "--control", filepath.Join(plain, "certtoken_1.2.3_amd64.deb"), control))
	assert.NoFileExists(t, filepath.Join(control, "postinst"), "no units, no scripts")
}

func TestParseTargets(t *testing.T) {
	all, err := parseTargets(allTargets)
	require.NoError(t, err)
	assert.Len(t, all, 6)
	for list, says := range map[string]string{
		"":                        `"" is not one of`,
		"linux":                   `"linux" is not one of`,
		"plan9/386":               `"plan9/386" is not one of`,
		"linux/amd64,":            `"" is not one of`,
		"linux/amd64,linux/amd64": "named twice",
	} {
		_, err := parseTargets(list)
		assert.ErrorContains(t, err, says, list)
	}
}

func TestWithFolders(t *testing.T) {
	var names []string
	for _, f := range withFolders([]file{
		{name: "b/c/d"}, {name: "a"}, {name: "b/own", mode: fs.ModeDir | 0o700}, {name: "b/own/f"},
	}) {
		if f.mode.IsDir() {
			f.name += "/"
		}
		names = append(names, f.name)
	}
	assert.Equal(t, []string{"a", "b/", "b/c/", "b/c/d", "b/own/", "b/own/f"}, names)
}

// Nothing is shipped whose licence isn't one that everybody may pass on.
func TestLicencesThatMayBeShipped(t *testing.T) {
	read := func(text string) error {
		folder := t.TempDir()
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "LICENSE"), []byte(text), 0o600))
		}
		return new(part).readLicence(folder)
	}
	assert.NoError(t, read("Apache License Version 2.0, January 2004"))
	assert.ErrorContains(t, read("Mozilla Public License Version 2.0"), "may be shipped")
	assert.ErrorContains(t, read("GNU General Public License"), "general public license")
	assert.ErrorContains(t, read("All rights reserved."), "isn't known")
	assert.Error(t, read(""), "no licence at all")
}
