// Command packages builds what a release ships: archives, .deb and .rpm packages, an
// image for containers, an SBOM for each system, and checksums of all of it. It needs no
// network once the modules are in the module cache, and the same commit gives the same
// bytes wherever it is built with the same Go release. Run it in the repository's root:
//
//	go run ./release/packages [-version vX.Y.Z] [-targets OS/ARCH,…] FOLDER
//
// Without -version it packs this checkout. With it, it packs the command as it is
// published, and the checkout must be that tag.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	tag := flag.String("version", "", "the published `version` to pack, such as v0.1.0; by default this checkout")
	targets := flag.String("targets", allTargets, "what to build for, as `OS/ARCH,…`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: go run ./release/packages [-version vX.Y.Z] [-targets OS/ARCH,…] FOLDER")
		os.Exit(2)
	}
	if err := pack(*tag, *targets, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

// pack builds everything into a folder, which must be empty: what it holds stands in the
// checksums.
func pack(tag, targets, folder string) error {
	list, err := parseTargets(targets)
	if err != nil {
		return err
	}
	if err := makeEmpty(folder); err != nil {
		return err
	}
	rel, err := releaseOf(".", tag)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "certtoken-packages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	shared, err := rel.sharedContent(work)
	if err != nil {
		return err
	}
	var products []product
	for _, t := range list {
		p, err := rel.build(t, work, shared)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		if err := p.write(folder); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		products = append(products, p)
	}
	if err := writeImage(products, work, folder); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return writeSums(folder, os.Stdout)
}

// write writes all files of one system but the image, which holds several.
func (p product) write(folder string) error {
	if err := os.WriteFile(filepath.Join(folder, p.baseName()+".cdx.json"), p.sbom, 0o644); err != nil {
		return err
	}
	if err := p.writeArchive(folder); err != nil {
		return err
	}
	if p.target.os != "linux" {
		return nil
	}
	return p.writeLinuxPackages(folder)
}

func makeEmpty(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) > 0 {
		err = &fs.PathError{Op: "packages", Path: folder, Err: errors.New("the folder is not empty")}
	}
	return err
}
