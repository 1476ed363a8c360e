// Package supply says what this program is made of, and what of that is known to
// be broken.
//
// Threat: most of the code that runs here was written by others. A version with a
// published hole stays pinned because nobody looks (CWE-1395); a dependency that
// nobody listed cannot be looked up on the day its hole is published (CVE-2021-44228
// is the day that everybody remembers); and a licence that nobody read is found by a
// lawyer.
//
// Rule: versions are pinned and their sums checked (go.sum, `go mod verify`, npm ci,
// actions by commit). SBOM tells the parts from what the toolchain recorded in the
// very binary that runs. Floors names, for the libraries on an attacker's path, the
// first version without the hole that matters here, and works without a network;
// CI also asks the Go vulnerability database. Licences are recognised from their
// texts and have to be permissive.
//
// What it does not stop: a hole that nobody has published, and a maintainer who
// turns. Update pull requests wait seven days for the second.
//
// Source: ASVS 5.0 15.1.1–15.2.4.
package supply

import (
	"bytes"
	_ "embed" // the licence list
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// licences is one line per module that the server links: path, SPDX expression.
// A test writes it from the modules' licence texts.
//
//go:embed licences.tsv
var licences string

// SBOM lists the modules of a binary in CycloneDX 1.6 JSON. It is the same for the
// same binary: no time, no random serial number.
//
//control:name supply-chain
func SBOM(info *debug.BuildInfo) ([]byte, error) {
	if info == nil || info.Main.Path == "" {
		return nil, errors.New("supply: the binary was built without module information")
	}
	known := Licences()
	main := component(info.Main.Path, info.Main.Version, info.Main.Sum, "MIT")
	main.Type = cyclonedx.ComponentTypeApplication
	toolchain := component("stdlib", info.GoVersion, "", "BSD-3-Clause")
	parts := []cyclonedx.Component{toolchain}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, component(m.Path, m.Version, m.Sum, known[m.Path]))
	}
	slices.SortFunc(parts, func(a, b cyclonedx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	refs := make([]string, len(parts))
	for i, p := range parts {
		refs[i] = p.BOMRef
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &main}
	bom.Components = &parts
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("supply: %w", err)
	}
	return out.Bytes(), nil
}

func component(path, version, sum, licence string) cyclonedx.Component {
	purl := "pkg:golang/" + path + "@" + version
	c := cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl, BOMRef: purl}
	if licence != "" {
		c.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: licence}}}
	}
	if sum != "" {
		// Not a hash of one file, so not one of CycloneDX's hashes: go.sum's own form.
		c.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}

// Licences maps each module that the server links to its SPDX licence id.
func Licences() map[string]string {
	known := map[string]string{}
	for line := range strings.Lines(licences) {
		if module, id, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			known[module] = id
		}
	}
	return known
}
