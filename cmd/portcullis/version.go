package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"example.com/portcullis/internal/supply"
)

func versionCommand() command {
	c := command{
		name:    "version",
		summary: "print version, commit and Go version, or everything it is made of",
		usage:   "usage: portcullis version [-sbom]\n\nexample: portcullis version -sbom > sbom.cdx.json",
	}
	c.run = func(_ context.Context, p process, args []string) error {
		fs := c.flags(p)
		sbom := fs.Bool("sbom", false, "print the software bill of materials of this binary (CycloneDX JSON)")
		if err := c.parse(fs, args, 0, 0); err != nil {
			return err
		}
		if !*sbom {
			_, err := fmt.Fprintln(p.Stdout, version())
			return err
		}
		info, _ := debug.ReadBuildInfo()
		text, err := supply.SBOM(info)
		if err != nil {
			return err
		}
		_, err = p.Stdout.Write(text)
		return err
	}
	return c
}

// version reads what the Go toolchain recorded in the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "portcullis (built without module information)"
	}
	commit := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			commit = " " + s.Value[:12]
		}
	}
	return fmt.Sprintf("portcullis %s%s %s", info.Main.Version, commit, info.GoVersion)
}
