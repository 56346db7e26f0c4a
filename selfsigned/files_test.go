package selfsigned_test

import (
	"crypto"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fileKey is the key of all certificates here: to make an RSA key takes longer than to write files.
var fileKey = sync.OnceValues(func() (crypto.Signer, error) {
	return selfsigned.GenerateKey(selfsigned.Options{})
})

// fileCert is a certificate like no other, to be written.
func fileCert(t *testing.T) *certtoken.Certificate {
	t.Helper()
	key, err := fileKey()
	require.NoError(t, err)
	cert, err := selfsigned.For(t.Context(), key, selfsigned.Options{})
	require.NoError(t, err)
	return cert
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	cert := fileCert(t)
	files, err := selfsigned.WriteFiles(dir, cert, "password", selfsigned.WriteOptions{PEMName: "pair.pem"})
	require.NoError(t, err)
	assert.Equal(t, selfsigned.Files{
		CER: filepath.Join(dir, "public.cer"),
		PFX: filepath.Join(dir, "private.pfx"),
		PEM: filepath.Join(dir, "pair.pem"),
	}, files)
	assert.ElementsMatch(t, []string{"public.cer", "private.pfx", "pair.pem"}, names(t, dir))
	if runtime.GOOS != "windows" {
		assert.Equal(t, fs.FileMode(0o644), mode(t, files.CER))
		assert.Equal(t, fs.FileMode(0o600), mode(t, files.PFX))
		assert.Equal(t, fs.FileMode(0o600), mode(t, files.PEM))
	}
	for _, source := range []*certtoken.FileSource{
		certtoken.CertFile(files.PFX, certtoken.WithPassword("password")),
		certtoken.CertFile(files.PEM),
	} {
		got, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.Equal(t, cert.Leaf.Raw, got.Leaf.Raw)
	}
	cer, err := os.ReadFile(files.CER)
	require.NoError(t, err)
	assert.Equal(t, cert.Leaf.Raw, cer)
}

func TestWriteFilesReplacesNothing(t *testing.T) {
	cert := fileCert(t)
	for _, existing := range []string{"public.cer", "private.pfx", "pair.pem"} {
		t.Run(existing, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, existing)
			require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
			_, err := selfsigned.WriteFiles(dir, cert, "", selfsigned.WriteOptions{PEMName: "pair.pem"})
			assert.ErrorIs(t, err, fs.ErrExist)
			assert.ErrorContains(t, err, existing)
			assert.Equal(t, []string{existing}, names(t, dir))
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, "mine", string(data))
		})
	}
}

func TestWriteFilesFollowsNoDanglingLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(target, filepath.Join(dir, "private.pfx")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	_, err := selfsigned.WriteFiles(dir, fileCert(t), "", selfsigned.WriteOptions{})
	assert.ErrorIs(t, err, fs.ErrExist)
	assert.NoFileExists(t, target)
}

func TestWriteFilesOverwrites(t *testing.T) {
	dir := t.TempDir()
	first, second := fileCert(t), fileCert(t)
	_, err := selfsigned.WriteFiles(dir, first, "a", selfsigned.WriteOptions{})
	require.NoError(t, err)
	files, err := selfsigned.WriteFiles(dir, second, "b", selfsigned.WriteOptions{Overwrite: true})
	require.NoError(t, err)
	got, err := certtoken.CertFile(files.PFX, certtoken.WithPassword("b")).Certificate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, second.Leaf.Raw, got.Leaf.Raw)
	assert.Len(t, names(t, dir), 2)
	if runtime.GOOS != "windows" {
		assert.Equal(t, fs.FileMode(0o600), mode(t, files.PFX))
	}
}

func TestWriteFilesAllOrNone(t *testing.T) {
	cert := fileCert(t)
	t.Run("last name is a folder", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "pair.pem"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "public.cer"), []byte("old"), 0o600))
		_, err := selfsigned.WriteFiles(dir, cert, "", selfsigned.WriteOptions{PEMName: "pair.pem", Overwrite: true})
		require.Error(t, err)
		assert.ElementsMatch(t, []string{"pair.pem", "public.cer"}, names(t, dir))
		data, err := os.ReadFile(filepath.Join(dir, "public.cer"))
		require.NoError(t, err)
		assert.Equal(t, "old", string(data), "what was there is there again")
	})
	t.Run("no such folder", func(t *testing.T) {
		_, err := selfsigned.WriteFiles(filepath.Join(t.TempDir(), "none"), cert, "", selfsigned.WriteOptions{})
		assert.ErrorIs(t, err, fs.ErrNotExist)
	})
	t.Run("one name twice", func(t *testing.T) {
		dir := t.TempDir()
		_, err := selfsigned.WriteFiles(dir, cert, "", selfsigned.WriteOptions{PEMName: "private.pfx"})
		assert.ErrorContains(t, err, "twice")
		assert.Empty(t, names(t, dir))
	})
	t.Run("one name in a folder that is missing", func(t *testing.T) {
		dir := t.TempDir()
		_, err := selfsigned.WriteFiles(
			dir,
			cert,
			"",
			selfsigned.WriteOptions{PEMName: filepath.Join("none", "pair.pem")},
		)
		assert.Error(t, err)
		assert.Empty(t, names(t, dir))
	})
}

// Many writers at once: one wins, and what it wrote is whole.
func TestWriteFilesOneWinner(t *testing.T) {
	dir := t.TempDir()
	cert := fileCert(t)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := selfsigned.WriteFiles(dir, cert, "p", selfsigned.WriteOptions{}); err == nil {
				won.Add(1)
			} else {
				assert.ErrorIs(t, err, fs.ErrExist)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, won.Load())
	assert.ElementsMatch(t, []string{"public.cer", "private.pfx"}, names(t, dir))
}

func TestWriteFilesOfAKeyElsewhere(t *testing.T) {
	dir := t.TempDir()
	cert := fileCert(t)
	hsm := &certtoken.Certificate{Leaf: cert.Leaf, Signer: opaque{cert.Signer}}
	_, err := selfsigned.WriteFiles(dir, hsm, "", selfsigned.WriteOptions{})
	assert.ErrorIs(t, err, selfsigned.ErrKeyNotExportable)
	assert.Empty(t, names(t, dir))
}
