package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/certtoken/certtoken/selfsigned"
)

// unwritableFile makes a folder of files from before, in which one name is taken by a
// folder: nothing can be written there.
func unwritableFile(t *testing.T, folder string, before ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range before {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("from before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantFromBefore reports files of a folder that aren't there any more, are others, or are new.
func wantFromBefore(t *testing.T, dir, folder string, before ...string) {
	t.Helper()
	for _, name := range before {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "from before" {
			t.Errorf("%s isn't the one from before: %v", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(before)+1 {
		t.Errorf("besides %q and %q: %v, %v", folder, before, entries, err)
	}
}

// The key of a TPM that is replaced is there again if its new certificate can't be written.
func TestKeyOfTheTPMIsReplacedWithItsCertificateOnly(t *testing.T) {
	key, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.EC})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := selfsigned.For(t.Context(), key, selfsigned.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := unwritableFile(t, fileCER, fileTPM)
	command := &certNewCommand{console: testConsole(t), out: dir, tpm: true, force: true}
	if _, _, err := command.writeTPM(cert, []byte("a key")); err == nil {
		t.Error("a folder was replaced")
	}
	wantFromBefore(t, dir, fileCER, fileTPM)
}

// A request and its new key are written both or not at all, and so is what they replace.
func TestRequestIsWrittenWithItsKeyOnly(t *testing.T) {
	key, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.EC})
	if err != nil {
		t.Fatal(err)
	}
	request, err := selfsigned.Request(t.Context(), key, selfsigned.Options{})
	if err != nil {
		t.Fatal(err)
	}
	file, err := keyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string][]string{"new": nil, "replaced": {fileCSR}} {
		t.Run(name, func(t *testing.T) {
			dir := unwritableFile(t, fileKey, before...)
			command := &certCSRCommand{console: testConsole(t), out: dir, force: true}
			if err := command.write(&madeRequest{request}, &csrKey{key, fileKey, file}); err == nil {
				t.Error("a folder was replaced")
			}
			wantFromBefore(t, dir, fileKey, before...)
		})
	}
}
