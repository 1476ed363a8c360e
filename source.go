// Package portcullis is this module's own source, carried by the binary, so that the
// pages under /controls show the lines that run.
//
// Threat: documentation that quotes code from memory teaches what the code was once.
// And a viewer of files is a classic way to read other files (CWE-22). So what can be
// shown is fixed when the binary is built: the list below, nothing of the machine that
// it runs on. All of it is in the public repository; no secret belongs there, and
// nothing here is configuration. Exploits and tests are in it as text, not as code.
package portcullis

import (
	"embed"
	"io/fs"
)

//go:embed *.go go.mod Makefile Dockerfile docker-compose.yml
//go:embed cmd/*/*.go e2e/*.go internal/*/*.go internal/*/*/*.go internal/*/*/*/*.go
//go:embed migrations/*.go migrations/*.sql docs/controls/*.md
//go:embed web/*.go web/templates/*.html web/schemas/*.json web/static/css/*.css web/static/js/*.js web/static/js/*/*.js web/test/*.js
var source embed.FS

// Source is the source of this module, by path from its root.
func Source() fs.FS { return source }
