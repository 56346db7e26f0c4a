package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// writeSBOM lists what is in the command in CycloneDX 1.6, which scanners read. The
// serial number comes from the command's hash, so that the same command has the same.
func (p product) writeSBOM(parts []part) ([]byte, error) {
	hash := sha256.Sum256(p.command)
	bom := cdx.NewBOM()
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, hash[:]).URN()
	self := component(parts[0])
	self.Type = cdx.ComponentTypeApplication
	self.Description = "a certificate in, an access token out: the command for " + p.target.String()
	self.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash[:])}}
	bom.Metadata = &cdx.Metadata{Timestamp: p.date.Format(time.RFC3339), Component: &self}

	var components []cdx.Component
	var refs []string
	for _, part := range parts[1:] {
		c := component(part)
		components = append(components, c)
		refs = append(refs, c.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: self.BOMRef, Dependencies: &refs}}

	var b bytes.Buffer
	err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
	return b.Bytes(), err
}

func component(p part) cdx.Component {
	version := p.version
	if p.isOurs() {
		version = "v" + version
	}
	// The package URL of a Go module; the standard library's is known by this name too.
	purl := fmt.Sprintf("pkg:golang/%s@%s", p.path, url.PathEscape(version))
	c := cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: p.path, Version: version, PackageURL: purl,
		Scope: cdx.ScopeRequired, Licenses: licences(p.licence),
	}
	if p.sum != "" { // a hash of the module's list of files and their hashes, and so of no file
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: p.sum}}
	}
	return c
}

func licences(expression string) *cdx.Licenses {
	if strings.Contains(expression, " ") {
		return &cdx.Licenses{{Expression: expression}}
	}
	return &cdx.Licenses{{License: &cdx.License{ID: expression}}}
}
