package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const version = "v0.999.0"

// submodules are the folders of the modules that are published beside the root:
// all but those that only serve this repository.
func submodules(t *testing.T, root string) []string {
	t.Helper()
	var dirs []string
	for file := range strings.FieldsSeq(output(t, root, nil, "git", "ls-files", "*/go.mod")) {
		switch dir := filepath.ToSlash(filepath.Dir(file)); dir {
		case "bench", "interop", "release", "examples/kms":
		default:
			dirs = append(dirs, dir)
		}
	}
	require.Contains(t, dirs, "cmd/certtoken")
	require.Contains(t, dirs, "ext/certtokenotel/example")
	return dirs
}

// extensions are the modules that programs import beside the root.
func extensions(t *testing.T, root string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "ext/*/go.mod"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var dirs []string
	for _, file := range files {
		dirs = append(dirs, "ext/"+filepath.Base(filepath.Dir(file)))
	}
	return dirs
}

// From the tags that the script makes, and nothing else, the command installs
// and programs build, as they would from the module proxy.
func TestRelease(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash")
	root := copyOf(t)
	heading(t, root, version)
	head := output(t, root, nil, "git", "rev-parse", "HEAD")

	output(t, root, nil, "release/release.sh", version)

	published := submodules(t, root)
	t.Run("tags", func(t *testing.T) {
		want := []string{version}
		for _, dir := range published {
			want = append(want, dir+"/"+version)
		}
		assert.ElementsMatch(t, want, strings.Fields(output(t, root, nil, "git", "tag")))
		assert.Equal(
			t,
			head,
			output(t, root, nil, "git", "rev-parse", version+"^{commit}"),
			"the root is released as it is",
		)
	})
	t.Run("the files here stay", func(t *testing.T) {
		assert.Equal(t, head, output(t, root, nil, "git", "rev-parse", "main"))
		assert.Equal(t, "main\n", output(t, root, nil, "git", "branch", "--show-current"))
		assert.Empty(t, output(t, root, nil, "git", "status", "--porcelain"))
	})
	t.Run("only the requirements of our own modules change", func(t *testing.T) {
		ours := regexp.MustCompile(`(?m)^(\t` + module + `|replace ` + module + `).*\n+`)
		for _, dir := range published {
			before := output(t, root, nil, "git", "show", "main:"+dir+"/go.mod")
			after := output(t, root, nil, "git", "show", dir+"/"+version+":"+dir+"/go.mod")
			for path := range strings.Lines(strings.Join(ours.FindAllString(before, -1), "")) {
				if path, required := strings.CutSuffix(strings.TrimSpace(path), " v0.0.0"); required {
					assert.Contains(t, after, "\t"+path+" "+version+"\n")
				}
			}
			assert.NotContains(t, after, "replace")
			assert.Equal(
				t,
				strings.TrimSpace(ours.ReplaceAllString(before, "")),
				strings.TrimSpace(ours.ReplaceAllString(after, "")),
			)
		}
		changed := output(t, root, nil, "git", "diff", "--name-only", "main", "release/"+version)
		for name := range strings.Lines(changed) {
			assert.Regexp(t, `^(`+strings.Join(published, "|")+`)/go\.(mod|sum)\n$`, name)
		}
	})

	proxy := serve(t, root, published)
	// The checksum database, which is far away, has nothing to say of these tags. The programs here
	// have no go.sum yet, so that it would be asked for every module of others.
	user := append(emptyCache(t, proxy), "GONOSUMDB=*")
	t.Run("the command installs", func(t *testing.T) {
		dir := t.TempDir()
		output(t, root, user, "release/build.sh", dir, version)
		assert.Regexp(t, `^certtoken `+regexp.QuoteMeta(version)+` \(go`, output(t, dir, nil, "./certtoken", "version"))
		assert.Regexp(
			t,
			`\tmod\t`+module+`/cmd/certtoken\t`+version+`\th1:`,
			output(t, dir, nil, "go", "version", "-m", "certtoken"),
		)
	})
	t.Run("it is packed", func(t *testing.T) {
		packages, dir := filepath.Join(t.TempDir(), "packages"), t.TempDir()
		output(t, ".", nil, "go", "build", "-o", packages, "./packages")
		output(t, root, user, packages, "-version", version, "-targets", "linux/arm64", dir)
		archive := filepath.Join(dir, "certtoken_"+version[1:]+"_linux_arm64.tar.gz")
		output(t, dir, nil, "tar", "--strip-components=1", "-xzf", archive)
		assert.Regexp(
			t,
			`\tmod\t`+module+`/cmd/certtoken\t`+version+`\th1:`,
			output(t, dir, nil, "go", "version", "-m", "certtoken"),
			"the command is the one that the module proxy has",
		)
		assert.Contains(t, output(t, dir, nil, "cat", "man/man1/certtoken.1"), `"certtoken `+version+`"`)
		assert.FileExists(t, filepath.Join(dir, "certtoken_"+version[1:]+"_arm64.deb"))
		_, stderr, err := try(t, root, user, packages, "-version", "v0.1.0", t.TempDir())
		assert.Error(t, err)
		assert.Contains(t, stderr, "the checkout is not v0.1.0")
	})
	t.Run("a program builds", func(t *testing.T) {
		dir := program(t, "ext/redisstore")
		output(t, dir, user, "go", "get", module+"@"+version, module+"/ext/redisstore@"+version)
		assert.Equal(t, "certtoken: the client is closed\n", output(t, dir, user, "go", "run", "-trimpath", "."))
		assert.NotContains(t, output(t, dir, user, "cat", "go.mod"), "replace")
	})
	t.Run("every extension resolves", func(t *testing.T) {
		dir := program(t, extensions(t, root)...)
		get := []string{"go", "get", module + "@" + version}
		for _, name := range extensions(t, root) {
			get = append(get, module+"/"+name+"@"+version)
		}
		output(t, dir, user, get...)
		output(t, dir, user, "go", "list", "-deps", ".")
	})
	t.Run("not twice", func(t *testing.T) {
		_, stderr, err := try(t, root, nil, "release/release.sh", version)
		assert.Error(t, err)
		assert.Contains(t, stderr, "is there already")
	})
}

// serve makes the folder of a module proxy from the tags, and returns its URL.
func serve(t *testing.T, root string, published []string) string {
	t.Helper()
	env := append(emptyCache(t),
		"GONOPROXY="+module, "GONOSUMDB="+module, "GOVCS=*:git",
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=url.file://"+root+".insteadOf",
		"GIT_CONFIG_VALUE_0=https://"+module,
	)
	download := []string{"go", "mod", "download", module + "@" + version}
	for _, dir := range published {
		download = append(download, module+"/"+dir+"@"+version)
	}
	output(t, t.TempDir(), env, download...)
	return "file://" + strings.TrimSpace(output(t, ".", env, "go", "env", "GOMODCACHE")) + "/cache/download"
}

// program is a module that uses the root and extensions.
func program(t *testing.T, extensions ...string) string {
	t.Helper()
	dir := t.TempDir()
	code := "package main\n\nimport (\n\t\"fmt\"\n\n\t\"" + module + "\"\n"
	for _, name := range extensions {
		code += "\t_ \"" + module + "/" + name + "\"\n"
	}
	code += ")\n\nfunc main() { fmt.Println(certtoken.ErrClosed) }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(code), 0o600))
	require.NoError(
		t,
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/user\n\ngo 1.26.0\n"), 0o600),
	)
	return dir
}

func TestReleaseRefuses(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash")
	root := copyOf(t)
	heading(t, root, version)
	for _, c := range []struct {
		name, version, want string
		before              func()
	}{
		{name: "no version", version: "", want: "must look like v0.1.0"},
		{name: "without v", version: "0.999.0", want: "must look like v0.1.0"},
		{name: "another path's", version: "v2.0.0", want: "must look like v0.1.0"},
		{name: "not in the changelog", version: "v0.998.0", want: "no heading '## [0.998.0]"},
		{name: "a dot is a dot", version: "v0.9.9", want: "no heading '## [0.9.9]"},
		{name: "another in the code", version: version, want: "client.go, which names the version", before: func() {
			edit(t, filepath.Join(root, "client.go"), version[1:], "0.1.0")
			commit(t, root)
		}},
		{name: "the tag is there", version: version, want: "the tag " + version + " is there already", before: func() {
			edit(t, filepath.Join(root, "client.go"), `version = "0.1.0"`, `version = "`+version[1:]+`"`)
			commit(t, root)
			output(t, root, nil, "git", "tag", version)
		}},
		{name: "changes", version: version, want: "aren't committed",
			before: func() { edit(t, filepath.Join(root, "doc.go"), "package", "//\npackage") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			tags := output(t, root, nil, "git", "tag")
			_, stderr, err := try(t, root, nil, "release/release.sh", c.version)
			assert.Error(t, err)
			assert.Contains(t, stderr, c.want)
			assert.Equal(t, tags, output(t, root, nil, "git", "tag"))
			assert.Equal(t, "main\n", output(t, root, nil, "git", "branch", "--format=%(refname:short)"))
		})
	}
}

// Two folders, two build caches and two module caches give the same bytes. The second
// build cache is this test's own. It stays for the next run, because nearly all that is
// compiled is the standard library.
func TestReproducible(t *testing.T) {
	t.Parallel()
	need(t, "git", "bash")
	caches, err := os.UserCacheDir()
	require.NoError(t, err)
	second := filepath.Join(caches, "certtoken-release-test")
	require.NotEqual(t, goEnv(t, "GOCACHE"), second)
	var sums []string
	for _, env := range [][]string{
		nil,
		append(emptyCache(t), "GOCACHE="+second, "GOAMD64=v3", "GOFLAGS=-ldflags=-s", "CGO_ENABLED=1"),
	} {
		root, dir := copyOf(t), t.TempDir()
		output(t, root, env, "release/build.sh", dir)
		output(t, dir, nil, "./certtoken", "version")
		built, err := os.ReadFile(filepath.Join(dir, "certtoken"))
		require.NoError(t, err)
		assert.NotContains(t, string(built), root, "the folder isn't in it")
		sums = append(sums, sum(t, filepath.Join(dir, "certtoken")))
	}
	assert.Equal(t, sums[0], sums[1])
}
