package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/release/internal/checkout"
)

// testTargets are built once for all tests. They are few, because each is compiled.
const testTargets = "linux/amd64,linux/arm64"

// work is the folder of what all tests share.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "certtoken-packages-test-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(work) // what is left is in the folder for temporary files
	os.Exit(status)
}

// built makes the program, and by it the release that the tests look at. It packs a copy
// of this checkout, because files may change while the tests run.
var built = sync.OnceValues(func() (folder string, err error) {
	build := exec.Command("go", "build", "-o", filepath.Join(work, "packages"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	root, folder := filepath.Join(work, "checkout"), filepath.Join(work, "release")
	if err := checkout.Copy("../..", root); err != nil {
		return "", err
	}
	return folder, runPackages(root, testTargets, folder)
})

// runPackages packs a repository.
func runPackages(root, targets, folder string, env ...string) error {
	cmd := exec.Command(filepath.Join(work, "packages"), "-targets", targets, folder)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// need skips a test of programs that aren't there, and one that takes long when little
// time is wanted.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a release: not with -short")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is needed in CI", program)
			}
			t.Skipf("%s isn't installed", program)
		}
	}
}

// shipped returns the file of the release that matches.
func shipped(t *testing.T, pattern string) string {
	t.Helper()
	folder, err := built()
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(folder, pattern))
	require.NoError(t, err)
	require.Len(t, found, 1, pattern)
	return found[0]
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s%s", cmd, out, stderr.String())
	return string(out)
}

// needHost skips a test that runs a command which was built for another machine.
func needHost(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the command that is run here is built for linux/amd64")
	}
}

// makesToken has a command make a certificate and get a token with it from "certtoken
// serve", as its documents say. The certificate and the CA are files in home, which the
// command sees as seen.
func makesToken(t *testing.T, command func(args ...string) *exec.Cmd, server, home, seen string) {
	t.Helper()
	with := func(args ...string) *exec.Cmd {
		cmd := command(args...)
		cmd.Env = append(cmd.Env, "PFX_PASSWORD=not-a-secret")
		return cmd
	}
	output(t, with("cert", "new", "--subject", "my-app", "--days", "2", "--password-env", "PFX_PASSWORD"))

	serve := exec.CommandContext(t.Context(), server, "serve", "--client", "my-app="+filepath.Join(home, "public.cer"),
		"--json", "--ca-file", filepath.Join(home, "ca.pem"))
	serve.Stderr = t.Output()
	stdout, err := serve.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	defer func() {
		_ = serve.Process.Kill()
		_ = serve.Wait() // it was killed
	}()
	var announced struct {
		TokenURL string `json:"token_url"`
	}
	require.NoError(t, json.NewDecoder(stdout).Decode(&announced))
	require.NotEmpty(t, announced.TokenURL)
	require.NoError(t, os.Chmod(filepath.Join(home, "ca.pem"), 0o644))

	token := output(t, with("token", "--authority", "entra", "--token-url", announced.TokenURL, "--client-id", "my-app",
		"--cert", seen+"/private.pfx", "--password-env", "PFX_PASSWORD", "--ca", seen+"/ca.pem",
		"--scope", "https://graph.microsoft.com/.default"))
	assert.Regexp(t, `^[\w-]+\.[\w-]+\.[\w-]+\n$`, token)
}

// inFolder runs a program in a folder.
func inFolder(program, folder string) func(args ...string) *exec.Cmd {
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = folder, []string{"PATH=/nowhere"}
		return cmd
	}
}

func TestChecksums(t *testing.T) {
	need(t, "sha256sum")
	sums := shipped(t, "SHA256SUMS")
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = filepath.Dir(sums)
	out := output(t, check)
	entries, err := os.ReadDir(filepath.Dir(sums))
	require.NoError(t, err)
	assert.Equal(t, len(entries)-1, strings.Count(out, ": OK\n"), "every file but the list itself")
	assert.Len(t, entries, 2*4+1+1, "archive, SBOM, .deb and .rpm; image, checksums")
}

// The files that the README has people install are there.
func TestReadmeNamesFiles(t *testing.T) {
	need(t)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	named := regexp.MustCompile(`(?m) dist/(\S*\*\S*)$`).FindAllStringSubmatch(string(readme), -1)
	require.Len(t, named, 2)
	for _, name := range named {
		shipped(t, name[1])
	}
}

// A second build in another folder and time zone and with other settings gives the same
// bytes.
func TestTwoBuildsAreTheSame(t *testing.T) {
	need(t)
	first, err := os.ReadFile(shipped(t, "SHA256SUMS"))
	require.NoError(t, err)
	again, other := filepath.Join(t.TempDir(), "again"), filepath.Join(t.TempDir(), "other")
	require.NoError(t, checkout.Copy(filepath.Join(work, "checkout"), other))
	require.NoError(t, runPackages(other, testTargets, again, "TZ=Asia/Tokyo", "TMPDIR="+t.TempDir(),
		"HOSTNAME=other", "USER=other", "LC_ALL=C", "GOAMD64=v3"))
	second, err := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
}

// A folder with something in it isn't taken: its files would stand in the checksums.
func TestTheFolderMustBeEmpty(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, makeEmpty(folder))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "other"), nil, 0o600))
	assert.ErrorContains(t, makeEmpty(folder), "not empty")
}

func TestDebInstalls(t *testing.T) {
	need(t, "dpkg", "dpkg-deb")
	needHost(t)
	deb := shipped(t, "*_amd64.deb")
	root := t.TempDir()
	if os.Getuid() == 0 {
		for _, dir := range []string{"info", "updates", "triggers"} {
			require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755))
		}
		require.NoError(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o600))
		output(t, exec.Command("dpkg", "--root="+root, "--force-script-chrootless", "--install", deb))
		status := output(t, exec.Command("dpkg", "--root="+root, "--status", "certtoken"))
		assert.Contains(t, status, "Status: install ok installed")
		assert.Empty(t, output(t, exec.Command("dpkg", "--root="+root, "--verify", "certtoken")), "all sums are right")
		defer func() {
			output(t, exec.Command("dpkg", "--root="+root, "--force-script-chrootless", "--purge", "certtoken"))
			assert.NoFileExists(t, filepath.Join(root, "usr/bin/certtoken"))
			assert.NoDirExists(t, filepath.Join(root, "usr/share/doc/certtoken"))
		}()
	} else {
		output(t, exec.Command("dpkg-deb", "--extract", deb, root))
	}
	command := filepath.Join(root, "usr/bin/certtoken")
	home := t.TempDir()
	makesToken(t, inFolder(command, home), command, home, home)
	checkInstalled(t, root, "usr/share/zsh/vendor-completions/_certtoken")
	version := output(t, exec.Command("dpkg-deb", "--field", deb, "Version"))
	assert.Regexp(t, `^[0-9.]+~dev\.[0-9]{14}\.`, version, "a checkout's version sorts before the release's")
	output(t, exec.Command("dpkg", "--compare-versions", strings.TrimSpace(version), "lt",
		strings.Split(version, "~")[0]))
}

// checkInstalled looks at what a package has put into a system.
func checkInstalled(t *testing.T, root, zsh string) {
	t.Helper()
	for name, mode := range map[string]fs.FileMode{
		"usr/bin/certtoken":                               0o755,
		"usr/share/man/man1/certtoken.1.gz":               0o644,
		"usr/share/man/man1/certtoken-cert-new.1.gz":      0o644,
		"usr/share/bash-completion/completions/certtoken": 0o644,
		"usr/share/doc/certtoken/copyright":               0o644,
		"usr/share/doc/certtoken/sbom.cdx.json":           0o644,
		zsh:                                               0o644,
	} {
		info, err := os.Stat(filepath.Join(root, name))
		if assert.NoError(t, err, name) {
			assert.Equal(t, mode, info.Mode(), name)
			assert.NotZero(t, info.Size(), name)
		}
	}
}

func TestRPMInstalls(t *testing.T) {
	need(t, "rpm", "rpm2cpio", "cpio")
	needHost(t)
	name := shipped(t, "*.x86_64.rpm")
	query := func(args ...string) string {
		t.Helper()
		return output(t, exec.Command("rpm", append(args, name)...))
	}
	assert.Contains(t, query("--checksig", "--nosignature"), "digests OK")
	assert.Equal(t, "certtoken|MIT|x86_64|localhost|certificate in, access token out",
		query("--query", "--queryformat", "%{NAME}|%{LICENSE}|%{ARCH}|%{BUILDHOST}|%{SUMMARY}", "--package"))
	assert.Empty(t, strings.TrimSpace(query("--query", "--requires", "--package")))
	for line := range strings.Lines(query("--query", "--list", "--verbose", "--package")) {
		assert.Regexp(t, `^[-d][r-][w-][x-]r-[x-]r-[x-] +\d+ root +root `, line)
	}

	root := t.TempDir()
	if os.Getuid() == 0 {
		output(t, exec.Command("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--install", "--nosignature", name))
		assert.Empty(t,
			output(t, exec.Command("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--verify", "certtoken")))
	} else {
		extract := exec.Command("sh", "-c", `rpm2cpio "$0" | cpio --extract --make-directories --quiet`, name)
		extract.Dir = root
		output(t, extract)
	}
	command := filepath.Join(root, "usr/bin/certtoken")
	home := t.TempDir()
	makesToken(t, inFolder(command, home), command, home, home)
	checkInstalled(t, root, "usr/share/zsh/site-functions/_certtoken")
}

// unpacked unpacks an archive by the programs that users have.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	folder := t.TempDir()
	output(t, exec.Command("tar", "-xzf", name, "-C", folder))
	dirs, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, dirs, 1, "all is in one folder")
	return filepath.Join(folder, dirs[0].Name())
}

func TestArchive(t *testing.T) {
	need(t, "tar")
	needHost(t)
	folder := unpacked(t, shipped(t, "*_linux_amd64.tar.gz"))
	command := filepath.Join(folder, "certtoken")
	home := t.TempDir()
	makesToken(t, inFolder(command, home), command, home, home)

	version := output(t, exec.Command(command, "version"))
	assert.Contains(t, filepath.Base(folder), strings.TrimPrefix(strings.Fields(version)[1], "v"),
		"it knows its version")
	t.Run("links of its documents lead somewhere", func(t *testing.T) {
		readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
		require.NoError(t, err)
		links := regexp.MustCompile(`\]\(([^)#:]+)[)#]`).FindAllStringSubmatch(string(readme), -1)
		require.NotEmpty(t, links)
		for _, link := range links {
			assert.FileExists(t, filepath.Join(folder, link[1]))
		}
	})
	t.Run("completions", func(t *testing.T) {
		need(t, "bash")
		script := `source completions/certtoken.bash; complete -p certtoken`
		cmd := exec.Command("bash", "--norc", "-euc", script)
		cmd.Dir = folder
		assert.Contains(t, output(t, cmd), "__start_certtoken")
	})
	t.Run("man pages", func(t *testing.T) {
		need(t, "groff")
		cmd := exec.Command("groff", "-man", "-Tutf8", "-P-cbou", filepath.Join(folder, "man/man1/certtoken-token.1"))
		page := output(t, cmd)
		assert.Contains(t, page, "certtoken-token - get an access token")
		assert.Contains(t, page, "2026-01-02", "the day of the release")
	})
}

func TestArchiveForWindows(t *testing.T) {
	p := product{
		release: release{version: "1.2.3", date: time.Unix(1767323045, 0)}, target: target{"windows", "arm64"},
		content: content{pages: []file{{name: "certtoken.1"}}, packaging: []file{{name: "systemd/x.service"}}},
		command: []byte("MZ"),
	}
	folder := t.TempDir()
	require.NoError(t, p.write(folder))
	r, err := zip.OpenReader(filepath.Join(folder, "certtoken_1.2.3_windows_arm64.zip"))
	require.NoError(t, err)
	defer r.Close()
	var names []string
	for _, f := range r.File {
		dir, name, _ := strings.Cut(f.Name, "/")
		assert.Equal(t, "certtoken_1.2.3_windows_arm64", dir)
		names = append(names, name)
		assert.Equal(t, int64(1767323045), f.Modified.Unix())
	}
	assert.ElementsMatch(t, []string{"certtoken.exe", "LICENSE", "THIRD-PARTY.txt", "README.md", "CHANGELOG.md",
		"docs/cli.md", "sbom.cdx.json"}, names, "no man pages and no units")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "no .deb and no .rpm")
}

func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// The SBOM and the licences have every module that the command says it was built of.
func TestPartsAreWhole(t *testing.T) {
	need(t, "tar")
	folder := unpacked(t, shipped(t, "*_linux_arm64.tar.gz"))
	info, err := buildinfo.ReadFile(filepath.Join(folder, "certtoken"))
	require.NoError(t, err)
	require.Greater(t, len(info.Deps), 5)
	assert.Equal(t, "arm64", setting(info, "GOARCH"))

	file, err := os.Open(shipped(t, "*_linux_arm64.cdx.json"))
	require.NoError(t, err)
	defer file.Close()
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(file, cdx.BOMFileFormatJSON).Decode(&bom))
	listed := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		listed[c.Name] = c
	}
	assert.Len(t, listed, len(info.Deps)+1, "the standard library is the one more")
	notices, err := os.ReadFile(filepath.Join(folder, "THIRD-PARTY.txt"))
	require.NoError(t, err)
	for _, dep := range info.Deps {
		c := listed[dep.Path]
		require.NotEmpty(t, c.Licenses, dep.Path)
		if dep.Replace != nil {
			continue // our own
		}
		assert.Equal(t, dep.Version, c.Version)
		assert.Equal(t, "pkg:golang/"+dep.Path+"@"+dep.Version, c.PackageURL)
		assert.Contains(t, string(notices), "\n"+dep.Path+" "+dep.Version+" (")
	}
	assert.Equal(t, strings.TrimPrefix(info.GoVersion, "go"), listed["std"].Version)
	assert.Contains(t, string(notices), "Copyright 2009 The Go Authors")
	var raw map[string]any
	inside, err := os.ReadFile(filepath.Join(folder, "sbom.cdx.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(inside, &raw))
	assert.Equal(t, "1.6", raw["specVersion"])
}

// untar reads a layer of an image.
func untar(t *testing.T, layer io.Reader, root string) {
	t.Helper()
	unzipped, err := gzip.NewReader(layer)
	require.NoError(t, err)
	r := tar.NewReader(unzipped)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		require.True(t, filepath.IsLocal(h.Name), h.Name)
		name := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(name, 0o755))
		} else {
			require.Equal(t, byte(tar.TypeReg), h.Typeflag)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(name, data, 0o600))
		}
		require.NoError(t, os.Chmod(name, h.FileInfo().Mode()))
		if os.Getuid() == 0 {
			require.NoError(t, os.Chown(name, h.Uid, h.Gid))
		}
	}
}
