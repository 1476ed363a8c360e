package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText caps every field that holds text from outside: long enough for a real
// browser's User-Agent, short enough that a megabyte of it cannot fill a disk.
const maxText = 256

// clean makes text from outside safe to print anywhere: one line, no terminal
// escapes, nothing that reorders what a reader sees (CWE-117, CVE-2021-42574). What
// is removed stays visible as an escape, because it is evidence.
func clean(s string) string {
	if len(s) <= maxText && printable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if b.Len() >= maxText {
			b.WriteString("…")
			break
		}
		if unicode.IsPrint(r) && r != utf8.RuneError && r != '\\' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// printable reports whether every byte is printable ASCII and not a backslash,
// which is nearly always.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\' {
			return false
		}
	}
	return true
}

// Ref turns an id that should not stand in a log, such as a session id or a
// ticket's jti, into a short stable reference: events about the same id can be
// joined, and the id cannot be read back.
//
//control:name audit
func Ref(id string) string {
	sum := sha256.Sum256([]byte("portcullis audit reference\x00" + id))
	return hex.EncodeToString(sum[:6])
}
