package audit

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLogged caps one value of any log line: a stack fits, a message that an attacker
// repeats back through an error does not fill the disk.
const maxLogged = 8 << 10

// Escape is a slog.HandlerOptions.ReplaceAttr. Security events are cleaned when they
// are recorded; this is for all the other lines: an error that quotes what a client
// sent. slog's JSON leaves the C1 controls (a terminal takes U+009B for ESC [), the
// bidi marks that turn a line around and invisible characters as they are; here they
// become escapes that can be read. Line breaks and tabs are left to the handler,
// which writes them as \n and \t.
func Escape(_ []string, a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(escape(v.String()))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			a.Value = slog.StringValue(escape(x.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(escape(x.String()))
		}
	}
	return a
}

// escape writes what a terminal would act on as text.
//
//control:name audit
func escape(s string) string {
	acts := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) && r != '\n' && r != '\t' }
	if len(s) <= maxLogged && strings.IndexFunc(s, acts) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if b.Len() >= maxLogged {
			b.WriteString("…")
			break
		}
		if acts(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
