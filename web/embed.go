// Package web holds what the browser gets, and the schemas of the wire, as files
// inside the binary: templates, style sheets, scripts and JSON Schemas.
//
// Threat: a page of a chat app shows text of strangers beside the buttons that
// act with the reader's session, so one sentence that becomes markup is an account
// taken over (CWE-79). What this folder does about it:
//
//   - Pages are html/template only, without template.HTML and without functions
//     of our own, so that the escaper knows every place that a value lands in.
//   - Scripts build the page with createElement and textContent; the one helper
//     that they go through refuses event attributes, markup sinks and URLs that are
//     not http or https. They run under require-trusted-types-for 'script' with no
//     policy at all, so a sink that slipped in throws instead of working.
//   - No inline script, style or handler, nothing from another host, no runtime
//     dependency, no build step: what is reviewed here is what runs there.
//   - What the server sends is input too: frames are checked before they are used.
//
// Not covered: a browser extension, or somebody at the unlocked machine. Signing
// out, or a session ended elsewhere, clears the page and the queue of unsent messages.
package web

import "embed"

// FS holds templates/*.html, static/ (css, js and icons, served under a content
// hash) and schemas/*.json. Nothing in it is secret.
//
//go:embed templates static schemas
var FS embed.FS
