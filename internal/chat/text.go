package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/portcullis/internal/guard/text"
)

// emoji is the whole list of reactions. A fixed list needs no rule about what an
// emoji is, and a reaction cannot be a hidden message.
var emoji = []string{"👍", "👎", "❤️", "😂", "😮", "😢", "🎉", "🙏", "👀", "✅", "❌", "🔥",
	"🚀", "💡", "❓", "❗", "👏", "🤔", "😄", "☕", "⚓", "🛟", "🧭", "🔒"}

// Emoji reports whether s is one of the reactions.
func Emoji(s string) bool { return slices.Contains(emoji, s) }

// cleanBody brings a body to the form in which it is stored: see the package text.
func cleanBody(body string) (string, error) {
	if utf8.RuneCountInString(body) > MaxBody { // before any work on it
		return "", errLongBody
	}
	body, rule := text.Body(body)
	switch {
	case rule != "":
		return "", unwritable("A message", rule)
	case utf8.RuneCountInString(body) > MaxBody: // composed by Unicode, and yet longer
		return "", errLongBody
	case !visible(body):
		return "", invalid("A message needs some text.")
	}
	return body, nil
}

var errLongBody = &Error{Kind: TooLarge, Public: "A message has at most 4,096 characters."}

func cleanTitle(title string) (string, error) {
	title, rule := text.Line(title)
	if rule != "" {
		return "", unwritable("A room's title", rule)
	}
	if !visible(title) || utf8.RuneCountInString(title) > MaxTitle {
		return "", invalid("A room's title has 1 to 80 characters.")
	}
	return title, nil
}

func cleanQuery(query string) (string, error) {
	query, rule := text.Line(query)
	if rule != "" || query == "" || utf8.RuneCountInString(query) > MaxQuery {
		return "", invalid("Search for 1 to 200 characters of text.")
	}
	return query, nil
}

// unwritable says which kind of character cannot be in what. The rule goes along for
// the event stream.
func unwritable(what string, rule text.Rule) error {
	why := "invisible characters, or joiners outside of emoji and scripts that join."
	switch rule {
	case text.Control, text.Encoding:
		why = "control characters."
	case text.Bidi:
		why = "characters that turn the direction of text."
	case text.Marks:
		why = "that many marks on one letter."
	}
	return &Error{Kind: Invalid, Public: what + " cannot hold " + why, Err: rule}
}

// visible reports whether there is anything to see: a space, a zero-width space and a
// byte order mark are not.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}
