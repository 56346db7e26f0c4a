//go:build unix

package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// images reads the image's archive: for each architecture the image, and its layout.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	need(t, "tar")
	folder := t.TempDir()
	output(t, exec.Command("tar", "-xf", shipped(t, "*_oci.tar"), "-C", folder))
	path, err := layout.FromPath(folder)
	require.NoError(t, err)
	top, err := path.ImageIndex()
	require.NoError(t, err)
	require.NoError(t, validate.Index(top), "every digest and size is right")
	manifest, err := top.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	name := manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"]
	assert.Regexp(t, `^localhost/certtoken:[\w.-]+$`, name)
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	platforms, err := index.IndexManifest()
	require.NoError(t, err)
	found := map[string]v1.Image{}
	for _, m := range platforms.Manifests {
		assert.Equal(t, "linux", m.Platform.OS)
		found[m.Platform.Architecture], err = index.Image(m.Digest)
		require.NoError(t, err)
	}
	return found
}

func TestImage(t *testing.T) {
	found := images(t)
	require.Len(t, found, 2)
	for arch, image := range found {
		t.Run(arch, func(t *testing.T) {
			config, err := image.ConfigFile()
			require.NoError(t, err)
			assert.Equal(t, arch, config.Architecture)
			assert.Equal(t, "65532:65532", config.Config.User)
			assert.Equal(t, []string{"/usr/bin/certtoken"}, config.Config.Entrypoint)
			assert.Equal(t, int64(1767323045), config.Created.Unix())
			layers, err := image.Layers()
			require.NoError(t, err)
			assert.Len(t, layers, 2)
		})
	}
}

// The image's command gets a token in the image's files and as the image's user.
func TestImageRuns(t *testing.T) {
	image := images(t)["amd64"]
	needHost(t)
	root := t.TempDir()
	layers, err := image.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		require.NoError(t, err)
		untar(t, compressed, root)
	}
	roots, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	assert.True(t, x509.NewCertPool().AppendCertsFromPEM(roots))
	assert.Greater(t, bytes.Count(roots, []byte("BEGIN CERTIFICATE")), 100)
	assert.Contains(t, string(roots), "DigiCert Global Root G2", "the root of Entra ID's endpoints")

	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/usr/bin/certtoken", args...)
		cmd.Dir = "/home/nonroot"
		cmd.Env = []string{"HOME=/home/nonroot"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	for dir := root; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			require.NoError(t, os.Chmod(dir, info.Mode()|0o011)) // the user has to get there
		}
	}
	home := filepath.Join(root, "home/nonroot")
	makesToken(t, command, filepath.Join(root, "usr/bin/certtoken"), home, "/home/nonroot")
	info, err := os.Stat(filepath.Join(home, "private.pfx"))
	require.NoError(t, err)
	assert.EqualValues(t, 65532, info.Sys().(*syscall.Stat_t).Uid)
}

// Another program reads the image too, and checks what it reads.
func TestImageIsReadByOthers(t *testing.T) {
	need(t, "skopeo")
	name := "oci-archive:" + shipped(t, "*_oci.tar")
	for _, arch := range []string{"amd64", "arm64"} {
		var config struct{ Architecture string }
		out := output(t, exec.Command("skopeo", "--override-arch", arch, "inspect", name))
		require.NoError(t, json.Unmarshal([]byte(out), &config))
		assert.Equal(t, arch, config.Architecture)
	}
	to := filepath.Join(t.TempDir(), "copy")
	output(t, exec.Command("skopeo", "--insecure-policy", "copy", "--all", "--quiet", name, "dir:"+to))
	assert.FileExists(t, filepath.Join(to, "manifest.json"))
}
