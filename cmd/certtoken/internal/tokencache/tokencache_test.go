package tokencache

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T) *Folder {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	f, err := Open(Rules{Own: func(fs.FileInfo) bool { return true }, Modes: false})
	require.NoError(t, err)
	return f
}

func entry(token string, life time.Duration) Entry {
	return Entry{AccessToken: token, TokenType: "Bearer", Scopes: []string{"s"}, ExpiresAt: now.Add(life)}
}

func TestNames(t *testing.T) {
	assert.Equal(t, Name("a", "b"), Name("a", "b"))
	seen := map[string]bool{}
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {"ab", ""}, {"1:a"}, {"a1:b"}, {"a", "", "b"},
	} {
		name := Name(parts...)
		assert.False(t, seen[name], parts)
		seen[name] = true
		assert.Regexp(t, "^[0-9a-f]{64}$", name)
	}
}

func TestGetAndPut(t *testing.T) {
	f := open(t)
	name := Name("x")
	get := func(process int, at time.Duration) string {
		t.Helper()
		e, err := f.Get(name, process, now.Add(at))
		require.NoError(t, err)
		if e == nil {
			return ""
		}
		return e.AccessToken
	}
	assert.Empty(t, get(1, 0))
	require.NoError(t, f.Put(name, entry("T1", time.Hour), 1, now))
	assert.Equal(t, "T1", get(2, time.Second))
	assert.Empty(t, get(1, 2*time.Second), "the same process comes again")
	assert.Empty(t, get(2, 3*time.Second), "so does this one")
	require.NoError(t, f.Put(name, entry("T2", time.Hour), 1, now.Add(4*time.Second)))
	assert.Empty(t, get(2, 5*time.Second), "it may have been refused before T2 came: it is asked for once more")
	assert.Equal(t, "T2", get(3, 5*time.Second))
	assert.Equal(t, "T2", get(1, 2*time.Minute), "a minute later it is another reason")
	assert.Empty(t, get(9, time.Hour-30*time.Second), "it is about to end")
	assert.Empty(t, get(9, 2*time.Hour))
}

func TestWhatCantBeReadIsReplaced(t *testing.T) {
	f := open(t)
	name := Name("x")
	for _, text := range []string{"", "{", "null", `{"access_token":""}`, `{"access_token":1}`} {
		require.NoError(t, os.WriteFile(f.file(name), []byte(text), 0o600))
		e, err := f.Get(name, 1, now)
		require.NoError(t, err)
		assert.Nil(t, e)
	}
	require.NoError(t, f.Put(name, entry("T", time.Hour), 1, now))
	e, err := f.Get(name, 2, now)
	require.NoError(t, err)
	assert.Equal(t, "T", e.AccessToken)
}

// What has ended leaves, and what a killed program has left.
func TestClean(t *testing.T) {
	f := open(t)
	require.NoError(t, f.Put(Name("ended"), entry("T", time.Hour), 1, now))
	require.NoError(t, f.Put(Name("valid"), entry("T", 10*time.Hour), 1, now))
	left, fresh := filepath.Join(f.path, ".1"+suffix), filepath.Join(f.path, ".2"+suffix)
	other := filepath.Join(f.path, "notes")
	for _, name := range []string{left, fresh, other} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	require.NoError(t, os.Chtimes(left, now, now))
	require.NoError(t, os.Chtimes(fresh, now.Add(2*time.Hour), now.Add(2*time.Hour)))
	require.NoError(t, f.Put(Name("new"), entry("T", 10*time.Hour), 1, now.Add(2*time.Hour)))
	var names []string
	entries, err := os.ReadDir(f.path)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.ElementsMatch(t, []string{
		".2" + suffix, "notes", Name("valid") + suffix, Name("new") + suffix,
	}, names)
}

func TestFolders(t *testing.T) {
	rules := Rules{Own: func(fs.FileInfo) bool { return true }, Modes: true}
	base := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	_, err := Open(rules)
	require.ErrorContains(t, err, "not a whole path")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(base, "absent"))
	_, err = Open(rules)
	require.ErrorIs(t, err, fs.ErrNotExist)
	t.Setenv("XDG_RUNTIME_DIR", base)
	f, err := Open(rules)
	require.NoError(t, err)
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	_, err = Open(Rules{Own: func(fs.FileInfo) bool { return false }})
	require.ErrorContains(t, err, "belongs to another user")
}
