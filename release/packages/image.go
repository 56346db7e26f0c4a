package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the user and group of the image: those that distroless images have too.
const nobody = 65532

// writeImage writes the image of the Linux systems as an archive of an OCI layout, which
// docker load, podman load and skopeo read. There is no shell in it: only the command,
// the roots that TLS trusts, and a user who isn't root.
func writeImage(products []product, work, folder string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var any product
	for _, p := range products {
		if p.target.os != "linux" {
			continue
		}
		image, err := p.image()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.target.arch}},
		})
		any = p
	}
	if any.command == nil {
		return nil
	}
	index = mutate.Annotations(index, any.annotations()).(v1.ImageIndex)
	dir := filepath.Join(work, "layout")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	name := "localhost/certtoken:" + any.version
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": name, // what podman calls it
		"io.containerd.image.name":          name, // what docker calls it
	})); err != nil {
		return err
	}
	files, err := filesBelow(dir)
	if err != nil {
		return err
	}
	data, err := tarOf(files, any.date)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "certtoken_"+any.version+"_oci.tar"), data, 0o644)
}

func (p product) image() (v1.Image, error) {
	base, err := baseFiles()
	if err != nil {
		return nil, err
	}
	command := append(p.documents(), file{name: "usr/bin/certtoken", data: p.command, mode: 0o755})
	var layers []v1.Layer
	for _, files := range [][]file{base, command} {
		data, err := tarOf(files, p.date)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: p.date}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: p.target.arch, Created: created, Author: "The certtoken authors",
		Config: v1.Config{
			User:       fmt.Sprintf("%d:%d", nobody, nobody),
			WorkingDir: "/home/nonroot",
			Entrypoint: []string{"/usr/bin/certtoken"},
			Cmd:        []string{"--help"},
			Env:        []string{"PATH=/usr/bin", "HOME=/home/nonroot"},
			Labels:     p.annotations(),
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	var adds []mutate.Addendum
	for i, layer := range layers {
		adds = append(adds, mutate.Addendum{Layer: layer, History: v1.History{
			Created: created, CreatedBy: "release/packages", Comment: []string{"roots and a user", "certtoken"}[i],
		}})
	}
	return mutate.Append(image, adds...)
}

// annotations are those that the OCI's image specification names.
func (p product) annotations() map[string]string {
	a := map[string]string{
		"org.opencontainers.image.title":       "certtoken",
		"org.opencontainers.image.description": summary,
		"org.opencontainers.image.version":     p.version,
		"org.opencontainers.image.source":      homepage,
		"org.opencontainers.image.licenses":    "MIT",
	}
	if p.commit != "" {
		a["org.opencontainers.image.revision"] = p.commit
	}
	return a
}

// baseFiles are what a static program finds in the image beside itself.
func baseFiles() ([]file, error) {
	roots, err := trustedRoots()
	if err != nil {
		return nil, err
	}
	return []file{
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil,
			"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/home/nonroot:/sbin/nologin\n", nobody, nobody)},
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", nobody)},
		{name: "etc/ssl/certs/ca-certificates.crt", data: roots, mode: 0o644},
		{name: "home/nonroot", mode: fs.ModeDir | 0o700, owner: nobody},
		{name: "tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}, nil
}

// trustedRoots are the roots of Mozilla's list, as golang.org/x/crypto has it (the list
// is under MPL-2.0). A root that is trusted for some certificates only is left out,
// because a file of certificates can't say which.
func trustedRoots() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprint(&b, "# The roots of Mozilla's list (MPL-2.0), from golang.org/x/crypto/x509roots/fallback.\n")
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "# %s\n", cert.Subject)
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
