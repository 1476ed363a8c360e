package text

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// nameRule is what holds for names beyond what holds for every line.
//
//control:name unicode
func nameRule(s string) Rule {
	for _, r := range s {
		if unicode.In(r, unicode.Co) || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs, unicode.Cf) {
			return Unknown
		}
	}
	if !together(scripts(s)) {
		return Mixed
	}
	return ""
}

// scripts lists the scripts of the letters in s.
func scripts(s string) []string {
	var found []string
	for _, r := range s {
		if !unicode.IsLetter(r) || unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		for name, table := range unicode.Scripts {
			if unicode.Is(table, r) && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found
}

// written are the scripts of one writing system: Japanese, Chinese and Korean beside
// Latin (UTS #39 section 5.2, highly restrictive).
var written = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// alike are scripts whose letters pass for Latin ones: never beside Latin, or each other.
var alike = []string{"Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Lisu", "Glagolitic", "Deseret", "Osage"}

// together reports whether scripts may stand in one name: one script, one writing
// system, or Latin and one other that does not look like it (moderately restrictive).
func together(scripts []string) bool {
	if len(scripts) < 2 {
		return true
	}
	for _, system := range written {
		if !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(system, s) }) {
			return true
		}
	}
	return len(scripts) == 2 && slices.Contains(scripts, "Latin") &&
		!slices.ContainsFunc(scripts, func(s string) bool { return slices.Contains(alike, s) })
}

// lookalikes maps letters to the ASCII letter that they pass for in common fonts: the
// Cyrillic, Greek, Armenian, Cherokee and Latin rows of confusables.txt (UTS #39,
// revision 32) that end in one ASCII letter. Lower case: Skeleton folds before it looks.
var lookalikes = map[rune]rune{
	// Cyrillic
	'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'ё': 'e', 'һ': 'h', 'н': 'h', 'і': 'i', 'ї': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l', 'м': 'm', 'п': 'n', 'ո': 'n',
	'о': 'o', 'р': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'ѵ': 'v', 'ԝ': 'w', 'ш': 'w', 'х': 'x', 'у': 'y', 'ү': 'y', 'ғ': 'f', 'ь': 'b', 'ӡ': 'z',
	// Greek
	'α': 'a', 'β': 'b', 'ϲ': 'c', 'ε': 'e', 'η': 'n', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'σ': 'o', 'τ': 't', 'υ': 'u', 'χ': 'x', 'γ': 'y', 'ϳ': 'j', 'μ': 'm', 'ζ': 'z', 'ω': 'w',
	// Armenian
	'ց': 'g', 'հ': 'h', 'օ': 'o', 'ս': 'u', 'ք': 'p', 'զ': 'q', 'յ': 'j', 'լ': 'l',
	// Latin letters that are not ASCII
	'ı': 'i', 'ɩ': 'i', 'ɑ': 'a', 'ɡ': 'g', 'ɢ': 'g', 'ʜ': 'h', 'ɪ': 'i', 'ʟ': 'l', 'ɴ': 'n', 'ʀ': 'r', 'ꜱ': 's', 'ᴛ': 't', 'ᴜ': 'u', 'ᴠ': 'v', 'ᴡ': 'w', 'ʏ': 'y', 'ᴢ': 'z', 'ᴀ': 'a',
	'ʙ': 'b', 'ᴄ': 'c', 'ᴅ': 'd', 'ᴇ': 'e', 'ꜰ': 'f', 'ᴊ': 'j', 'ᴋ': 'k', 'ᴍ': 'm', 'ᴏ': 'o', 'ᴘ': 'p', 'ǀ': 'l', 'ø': 'o', 'đ': 'd', 'ł': 'l',
	// Cherokee, folded by Unicode to its upper case
	'Ꭺ': 'a', 'Ᏼ': 'b', 'Ꮯ': 'c', 'Ꭰ': 'd', 'Ꭼ': 'e', 'Ꮋ': 'h', 'Ꭻ': 'j', 'Ꮶ': 'k', 'Ꮮ': 'l', 'Ꮇ': 'm', 'Ꮲ': 'p', 'Ꮪ': 's', 'Ꭲ': 't', 'Ꮩ': 'v', 'Ꮤ': 'w', 'Ꮓ': 'z',
}

// Skeleton is what a name looks like, in lower-case ASCII where it looks like that,
// without spaces and accents. Two names with one skeleton can be taken for each other.
func Skeleton(s string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII {
			if r == ' ' {
				return -1
			}
			return unicode.ToLower(r)
		}
		if unicode.In(r, unicode.Mn, unicode.Cf, unicode.Zs) {
			return -1
		}
		if looks, ok := lookalikes[r]; ok {
			return looks
		}
		if looks, ok := lookalikes[unicode.ToLower(r)]; ok {
			return looks
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s)) // compatibility forms are look-alikes too: 𝐚, ａ, ﬁ
}
