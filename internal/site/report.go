package site

import (
	"cmp"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"example.com/portcullis/internal/guard/audit"
)

// Reports of broken content security policies. A report is a stranger's text: anybody
// may post one, and a real one tells what an attacker managed to put into a page. It
// becomes a security event with few, short fields and nothing else.

// maxReports bounds the events of one post; browsers send a page's reports together.
const maxReports = 8

// violation holds what is kept of a report, in the two spellings that browsers use:
// the Reporting API's and that of the older report-uri.
type violation struct {
	Directive    string `json:"effectiveDirective"`
	Blocked      string `json:"blockedURL"`
	Document     string `json:"documentURL"`
	Source       string `json:"sourceFile"`
	OldDirective string `json:"effective-directive"`
	OldBlocked   string `json:"blocked-uri"`
	OldDocument  string `json:"document-uri"`
	OldSource    string `json:"source-file"`
}

func (s *Site) postReport(w http.ResponseWriter, c *call) error {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return errMediaType
	}
	var found []violation
	switch kind {
	case "application/reports+json":
		var sent []struct {
			Type string    `json:"type"`
			Body violation `json:"body"`
		}
		if json.Unmarshal(c.body, &sent) != nil {
			return errBadJSON
		}
		for _, r := range sent[:min(len(sent), maxReports)] {
			if r.Type == "csp-violation" {
				found = append(found, r.Body)
			}
		}
	case "application/csp-report":
		var sent struct {
			Report *violation `json:"csp-report"`
			Body   *violation `json:"body"` // WebKit sends the new spelling under the old name
		}
		if json.Unmarshal(c.body, &sent) != nil {
			return errBadJSON
		}
		if v := cmp.Or(sent.Report, sent.Body); v != nil {
			found = append(found, *v)
		}
	default:
		return errMediaType
	}
	for _, v := range found {
		s.record(c, audit.Event{Name: audit.CSPViolation, Level: audit.Warn, Control: "headers", Reason: "csp", Detail: v.String()})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// String is one line of at most a few hundred bytes.
func (v violation) String() string {
	directive := short(v.Directive+v.OldDirective, 40)
	return directive + " blocked " + place(v.Blocked+v.OldBlocked) + " in " + place(v.Document+v.OldDocument) + " by " + place(v.Source+v.OldSource)
}

// place is what of a URL may stand in a log: its origin and path. Queries and
// fragments carry tokens, data: and blob: URLs carry the payload itself.
func place(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "-"
	case err != nil:
		return "unreadable"
	case u.Host != "":
		return short(u.Scheme+"://"+u.Host+maskLong(u.Path), 80)
	case u.Scheme != "":
		return short(u.Scheme, 20) + ":"
	}
	return short(maskLong(u.Path), 40) // "inline", "eval", or a path
}

// maskLong blanks path segments that are longer than an id: tickets, for one.
func maskLong(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if len(s) > 40 {
			segments[i] = "…"
		}
	}
	return strings.Join(segments, "/")
}

func short(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
