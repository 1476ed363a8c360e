// Package upload decides what a file from outside may become.
//
// Threat: a file that is two things at once: a picture for the check and a script for
// the browser that opens it on our origin (polyglots, SVG, HTML; CWE-434, CWE-79). A
// header of forty bytes that claims 60,000 × 60,000 pixels, and a decoder that
// believes it (CWE-409, CWE-789). A name such as ../../etc/cron.d/x or
// invoice.pdf.html (CWE-22; socket.io-file, CVE-2020-15779). A photograph that tells
// where its author lives, in metadata that nobody sees (CWE-1230).
//
// Rule: what is stored is what we made, not what was sent.
//
//  1. Bytes: not empty, at most Options.MaxBytes.
//  2. Three opinions about the type have to agree on one line of a closed list: the
//     first bytes, the declared media type, and the extension of the name.
//  3. Pictures: the size is read from the header, and refused before a pixel is
//     decoded, if a side or the decoded picture is too large, or if a JPEG goes over
//     its pixels more often than any encoder lets it. At most two pictures are decoded
//     at once on a node.
//  4. Pictures are decoded, turned the right way up, and encoded again: metadata,
//     comments, further frames and bytes behind the end are not copied, so they are
//     gone. Of an animation the first frame is kept.
//  5. Text must be UTF-8 without control characters. It, and PDF, are kept as they
//     are and are only ever offered as attachments.
//  6. The name is for people: cleaned, with our extension, and never a path or a key.
//
// Not covered: what is inside of a PDF (malware is another room), pictures that are
// made of pixels that somebody should not show, and a hole in one of Go's decoders,
// which are memory-safe.
package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
)

// MaxBytes is the largest limit that New takes: a file is in memory while it is judged.
const MaxBytes = 20 << 20

// kind is one line of the closed list. What is not in it is refused: SVG and HTML are
// programs, archives hide what is in them.
type kind struct {
	magic      string   // what the first bytes say
	declared   []string // media types that mean the same
	extensions []string // the first is the one we give
	image      bool
}

var kinds = []kind{
	{"image/png", []string{"image/png"}, []string{"png"}, true},
	{"image/jpeg", []string{"image/jpeg", "image/jpg"}, []string{"jpg", "jpeg"}, true},
	{"image/gif", []string{"image/gif"}, []string{"gif"}, true},
	{"image/webp", []string{"image/webp"}, []string{"webp"}, true},
	{"text/plain", []string{"text/plain"}, []string{"txt"}, false},
	{"application/pdf", []string{"application/pdf"}, []string{"pdf"}, false},
}

// File is what a client sent: all of it text and bytes of its choice.
type File struct {
	Name     string // the file name, of any form
	Declared string // the Content-Type of the part
	Bytes    []byte
}

// Clean is what may be stored.
type Clean struct {
	Name          string // for people: a stem of letters and digits, and our extension
	Mime          string // one of image/png, image/jpeg, text/plain, application/pdf
	Bytes         []byte
	Width, Height int // 0: not a picture
}

// Why is the reason of a refusal, a fixed slug.
type Why string

// The reasons.
const (
	Empty     Why = "empty"
	TooLarge  Why = "bytes"
	Type      Why = "type"      // not in the list
	Declared  Why = "declared"  // the declared type is another one
	Extension Why = "extension" // the name's extension is another one
	Pixels    Why = "pixels"    // the header claims too large a picture
	Broken    Why = "broken"    // it does not decode
	Text      Why = "text"      // not UTF-8, or with control characters
	Unscanned Why = "unscanned" // only pictures are taken here
)

// public says to a person what to do about it.
var public = map[Why]string{
	Empty:     "The file is empty.",
	TooLarge:  "The file is too large.",
	Type:      "Files of this kind are not taken. PNG, JPEG, GIF, WebP, plain text and PDF are.",
	Declared:  "The file is not what it says it is.",
	Extension: "The file's name does not fit what is in it.",
	Pixels:    "The picture has too many pixels.",
	Broken:    "The picture cannot be read.",
	Text:      "A text file has to be UTF-8 without control characters.",
	Unscanned: "Only pictures are taken here.",
}

// Refused is why a file was not taken.
type Refused struct {
	Why Why
	Err error // stays inside
}

func (r *Refused) Error() string { return fmt.Sprintf("file refused: %s", r.Why) }
func (r *Refused) Unwrap() error { return r.Err }

// Public is a sentence for the person who sent the file.
func (r *Refused) Public() string { return public[r.Why] }

// Options of New.
type Options struct {
	MaxBytes int64 // largest file in bytes, 1 to MaxBytes
	// OnlyImages refuses what is stored as it was sent. It is for servers without a
	// malware scanner.
	OnlyImages bool
}

// Guard judges files. Create it with New; it is safe for concurrent use.
type Guard struct {
	o     Options
	turns chan struct{} // one for each picture that may be decoded at once
}

// New checks the options.
func New(o Options) (*Guard, error) {
	if o.MaxBytes < 1 || o.MaxBytes > MaxBytes {
		return nil, errors.New("upload: MaxBytes must be between 1 byte and 20 MiB")
	}
	return &Guard{o, make(chan struct{}, decodes)}, nil
}

// Check judges f and makes what may be stored of it. Its error is a *Refused, or that
// of ctx when it ended before a picture's turn came.
//
//control:name upload
func (g *Guard) Check(ctx context.Context, f File) (Clean, error) {
	switch {
	case len(f.Bytes) == 0:
		return Clean{}, &Refused{Why: Empty}
	case int64(len(f.Bytes)) > g.o.MaxBytes:
		return Clean{}, &Refused{Why: TooLarge}
	}
	k, err := agree(f)
	if err != nil {
		return Clean{}, err
	}
	if k.image {
		return g.picture(ctx, k, f)
	}
	if g.o.OnlyImages {
		return Clean{}, &Refused{Why: Unscanned}
	}
	if k.magic == "text/plain" && !plain(f.Bytes) {
		return Clean{}, &Refused{Why: Text}
	}
	return Clean{Name: cleanName(f.Name, k.extensions[0]), Mime: k.magic, Bytes: f.Bytes}, nil
}

// agree finds the line of the list that all three opinions name.
//
//control:name upload
func agree(f File) (kind, error) {
	magic, _, _ := strings.Cut(mimetype.Detect(f.Bytes).String(), ";")
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.magic == magic })
	if at < 0 {
		return kind{}, &Refused{Why: Type}
	}
	k := kinds[at]
	if declared, _, err := mime.ParseMediaType(f.Declared); err != nil || !slices.Contains(k.declared, declared) {
		return kind{}, &Refused{Why: Declared, Err: err}
	}
	dot := strings.LastIndexByte(f.Name, '.')
	if dot < 0 || !slices.Contains(k.extensions, strings.ToLower(f.Name[dot+1:])) {
		return kind{}, &Refused{Why: Extension}
	}
	return k, nil
}

// plain reports whether b is text that every viewer shows as the same text: UTF-8,
// and no control characters but tab and line ends (a terminal acts on ESC), and none
// of the marks that turn the direction of reading (CVE-2021-42574).
func plain(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("\uFEFF")) // some editors begin a file with it
	if !utf8.Valid(b) {
		return false
	}
	return !bytes.ContainsFunc(b, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
	})
}

// maxStem keeps a name within what every file system takes, in any script.
const maxStem = 60

// cleanName makes a name for people of a name from outside: what stands before the
// extension, without directories, of letters, digits, spaces, dashes and underscores.
// Dots become underscores, so shell.php.png offers shell_php.png.
func cleanName(name, extension string) string {
	name = strings.ToValidUTF8(name, "")
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name = name[:dot]
	}
	var stem strings.Builder
	n := 0
	for _, r := range name {
		if n == maxStem {
			break
		}
		n++
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.M, r), r == '-', r == ' ':
			stem.WriteRune(r)
		default:
			stem.WriteByte('_')
		}
	}
	kept := strings.Trim(stem.String(), " _-")
	if kept == "" {
		kept = "file"
	}
	return kept + "." + extension
}
