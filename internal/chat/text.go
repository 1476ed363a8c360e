package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// emoji is the whole list of reactions. A fixed list needs no rule about what an
// emoji is, and a reaction cannot be a hidden message.
var emoji = []string{"👍", "👎", "❤️", "😂", "😮", "😢", "🎉", "🙏", "👀", "✅", "❌", "🔥",
	"🚀", "💡", "❓", "❗", "👏", "🤔", "😄", "☕", "⚓", "🛟", "🧭", "🔒"}

// Emoji reports whether s is one of the reactions.
func Emoji(s string) bool { return slices.Contains(emoji, s) }

func cleanBody(body string) (string, error) {
	if !visible(body) {
		return "", invalid("A message needs some text.")
	}
	if utf8.RuneCountInString(body) > MaxBody {
		return "", &Error{Kind: TooLarge, Public: "A message has at most 4,096 characters."}
	}
	if !shown(body, '\n', '\t') {
		return "", invalid("A message cannot hold control characters or text direction overrides.")
	}
	return body, nil
}

func cleanTitle(title string) (string, error) {
	title = strings.TrimSpace(title)
	if !visible(title) || utf8.RuneCountInString(title) > MaxTitle {
		return "", invalid("A room's title has 1 to 80 characters.")
	}
	if !shown(title) {
		return "", invalid("A room's title cannot hold control characters or text direction overrides.")
	}
	return title, nil
}

func cleanQuery(query string) (string, error) {
	query = strings.TrimSpace(query)
	if query == "" || utf8.RuneCountInString(query) > MaxQuery || !shown(query) {
		return "", invalid("Search for 1 to 200 characters of text.")
	}
	return query, nil
}

// visible reports whether there is anything to see: a space, a zero-width space and a
// byte order mark are not.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}

// shown reports whether every rune of s is what it looks like: no control
// characters but those allowed, and none of the bidi overrides and isolates that
// make text read differently from how it is stored (CVE-2021-42574). Joiners stay:
// emoji families and Indic and Persian words need them.
func shown(s string, allowed ...rune) bool {
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			return false
		case slices.Contains(allowed, r):
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
			return false
		}
	}
	return true
}
