// Package text decides which Unicode people may write where.
//
// Threat: text that is not what it looks like. An override turns "exe.fdp" into a PDF
// for the eye (CVE-2021-42574, Trojan Source), a Cyrillic а makes a second "admin",
// zero-width and tag characters carry what nobody sees, to filters and to language
// models, a thousand accents on one letter cover the lines above (zalgo), and two
// spellings of one é make two names of one (CWE-176, CWE-451, CWE-1007).
//
// Rule, in this order and per field. First text is brought to one form: NFC, and in
// messages line and paragraph separators become line feeds, and the few invisible
// characters that editors and web pages leave behind (soft hyphen, zero-width space,
// word joiner, byte order mark) are taken out. Then it is checked, and never changed:
//
//   - no controls but line feed and tab, no bidi overrides, embeddings or isolates;
//   - joiners, variation selectors and tags only where they mean something: inside an
//     emoji, in a script that joins, in the flags of England, Scotland and Wales;
//   - no other invisible character, noncharacter or interlinear annotation;
//   - at most MaxMarks marks on a letter and MaxCluster code points in what the eye
//     takes for one character.
//
// Right-to-left letters and marks, every script and every emoji pass. [Line] is for
// titles: one line. [Name] is for people: nothing of direction, nothing unassigned or
// private, no mixing of scripts that look alike, and [Skeleton] tells what it looks like.
//
// Not covered: letters that look alike within one script (rn and m, l and 1), words
// that mean something bad, and what a font draws. The table of look-alikes has the
// letters that pass for ASCII ones in common fonts, not all of UTS #39.
//
// Sources: UAX #9, #15, #29; UTS #39 sections 4 and 5.2, UTS #51; RFC 8264; ASVS 5.0
// chapters 1.1 and 2.2.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

const (
	// MaxMarks is how many marks one letter may carry: Hebrew with points and accents has
	// 4, Tibetan and Vietnamese fewer, and 8 leaves room.
	MaxMarks = 8
	// MaxCluster is the most code points of one character as the eye counts: a family of
	// four with skin tones has 11, the flag of Scotland 7.
	MaxCluster = 16
)

// Rule is the rule that a text breaks, a fixed slug for events; empty: none.
type Rule string

// The rules.
const (
	Encoding  Rule = "encoding"      // not UTF-8, or a noncharacter
	Control   Rule = "control"       // a control character
	Bidi      Rule = "bidi"          // a character that turns the direction of others
	Invisible Rule = "invisible"     // a character that nobody sees, where it means nothing
	Tag       Rule = "tag"           // a tag outside of the three flags
	Marks     Rule = "marks"         // too many marks on one letter
	Unknown   Rule = "unassigned"    // in a name: not assigned, or for private use
	Mixed     Rule = "mixed_scripts" // in a name: scripts that look alike
	LooksLike Rule = "looks_like"    // in a name: somebody else's, see Skeleton
)

// Error makes a Rule the inner error of a refusal, for those who write events.
func (r Rule) Error() string { return "text: " + string(r) }

// Body brings the text of a message to its one form and checks it.
//
//control:name unicode
func Body(s string) (string, Rule) { return clean(s, body) }

// Line does the same for a title: one line, nothing of direction.
func Line(s string) (string, Rule) {
	s, rule := clean(s, line)
	return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " "), rule
}

// Name does the same for how a person is called.
//
//control:name unicode
func Name(s string) (string, Rule) {
	s, rule := Line(s)
	if rule == "" {
		rule = nameRule(s)
	}
	return s, rule
}

// Graphemes counts characters as a reader does (UAX #29).
func Graphemes(s string) int { return uniseg.GraphemeClusterCount(s) }

// field is where a text is written.
type field int

const (
	body field = iota
	line
)

// clean brings a text to NFC before it looks: what is checked is what is stored.
//
//control:name unicode
func clean(s string, f field) (string, Rule) {
	if plain(s, f) {
		return s, ""
	}
	if !utf8.ValidString(s) {
		return "", Encoding
	}
	if s = norm.NFC.String(s); f == body {
		s = strings.Map(leftover, s)
	}
	for i, r := range s {
		if rule := check(s, i, r, f); rule != "" {
			return "", rule
		}
	}
	return s, clusters(s)
}

// plain reports whether s is ASCII without controls: most of what is written.
func plain(s string, f field) bool {
	for i := range len(s) {
		if b := s[i]; b >= 0x7f || b < 0x20 && (f != body || b != '\n' && b != '\t') {
			return false
		}
	}
	return true
}

// leftover takes out what editors leave behind and nobody means, and turns the other
// two ends of a line into the one that everybody has.
func leftover(r rune) rune {
	switch r {
	case 0x00AD, 0x200B, 0x2060, 0xFEFF:
		return -1
	case 0x2028, 0x2029:
		return '\n'
	}
	return r
}

// check judges the rune r at s[i:].
//
//control:name unicode
func check(s string, i int, r rune, f field) Rule {
	switch {
	case (r == '\n' || r == '\t') && f == body:
		return ""
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return Control
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x206F:
		return Bidi
	case r == 0x200E || r == 0x200F || r == 0x061C: // marks turn nothing but themselves
		if f == body {
			return ""
		}
		return Bidi
	case r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
		return Encoding
	case r >= 0xE0000 && r <= 0xE007F:
		return tag(s, i)
	case r == 0x200C || r == 0x200D:
		return joiner(s, i, r)
	case unicode.Is(unicode.Variation_Selector, r):
		return variation(s, i, r)
	case r == 0x3164 || r == 0xFFA0, r >= 0x1D173 && r <= 0x1D17A, r >= 0xFFF9 && r <= 0xFFFB:
		return Invisible
	case f != body && (r == 0x034F || r == 0x115F || r == 0x1160 || r == 0x17B4 || r == 0x17B5 || r == 0x2800):
		return Invisible
	case unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return Invisible
	}
	return ""
}

// flags are the tags behind U+1F3F4 that are a flag (UTS #51, Emoji 5.0): all there are.
var flags = []string{tags("gbeng"), tags("gbsct"), tags("gbwls")}

func tags(region string) string {
	var b strings.Builder
	for _, c := range region {
		b.WriteRune(0xE0000 + c)
	}
	b.WriteRune(0xE007F)
	return b.String()
}

// tag accepts the tag at s[i:] if it is part of one of the flags.
func tag(s string, i int) Rule {
	start := strings.LastIndex(s[:i], "\U0001F3F4")
	if start >= 0 {
		behind := s[start+len("\U0001F3F4"):]
		for _, f := range flags {
			if strings.HasPrefix(behind, f) && i < start+len("\U0001F3F4")+len(f) {
				return ""
			}
		}
	}
	return Tag
}

// joining are the scripts in which joiners change how letters look: the Arabic family,
// Mongolian, and the Indic ones.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mandaic, unicode.Mongolian, unicode.Nko, unicode.Phags_Pa, unicode.Adlam, unicode.Hanifi_Rohingya,
	unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada,
	unicode.Malayalam, unicode.Sinhala, unicode.Tibetan, unicode.Myanmar, unicode.Khmer, unicode.Balinese, unicode.Javanese, unicode.Meetei_Mayek,
}

// joiner accepts a zero-width joiner between two emoji, and either joiner behind a
// letter or mark of a script that joins.
func joiner(s string, i int, r rune) Rule {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	if unicode.In(before, joining...) {
		return ""
	}
	if r == 0x200D && unicode.In(before, unicode.So, unicode.Sk, unicode.Variation_Selector) {
		after, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		// UAX #29 rule GB11: only between emoji does a joiner hold two characters together.
		if cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(pictograph(before)+"\u200D"+string(after), -1); strings.HasSuffix(cluster, string(after)) && after != utf8.RuneError {
			return ""
		}
	}
	return Invisible
}

// pictograph stands for the emoji that ends in r: a selector or skin tone has one before it.
func pictograph(r rune) string {
	if unicode.In(r, unicode.Sk, unicode.Variation_Selector) {
		return "\U0001F9D1" + string(r)
	}
	return string(r)
}

// variation accepts a selector behind something that it can vary: text and emoji
// presentation of a symbol, digit or sign, the shapes of ideographs and of Mongolian.
func variation(s string, i int, r rune) Rule {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	ok := false
	switch {
	case i == 0: // before is U+FFFD then, which is a symbol too
	case r == 0xFE0E || r == 0xFE0F:
		ok = unicode.In(before, unicode.So, unicode.Sm, unicode.Po, unicode.Pd, unicode.Nd) || before == 0x2139
	case r >= 0xE0100:
		ok = unicode.Is(unicode.Han, before)
	case r >= 0xFE00:
		ok = unicode.In(before, unicode.Han, unicode.Sm, unicode.Myanmar, unicode.Phags_Pa)
	default:
		ok = unicode.Is(unicode.Mongolian, before)
	}
	if ok {
		return ""
	}
	return Invisible
}

// clusters counts what is piled up on one character.
func clusters(s string) Rule {
	state := -1
	for len(s) > 0 {
		var c string
		c, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		if len(c) <= MaxMarks {
			continue // too few bytes for too many marks
		}
		points, marks := 0, 0
		for _, r := range c {
			points++
			if unicode.In(r, unicode.Mn, unicode.Me) && !unicode.Is(unicode.Variation_Selector, r) {
				marks++
			}
		}
		if marks > MaxMarks || points > MaxCluster {
			return Marks
		}
	}
	return ""
}
