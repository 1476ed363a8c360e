package wire

import (
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// charset matches texts whose characters all lie in a set: what ^[…]*$ says. A
// 64 KiB body costs the general engine milliseconds and this one less than a tenth,
// and whoever sends such bodies decides how often (CWE-1333).
type charset struct {
	source string
	ranges []rune // pairs, ascending
	min    int    // fewest characters: 0 for *, 1 for +
}

func (c charset) String() string { return c.source }

func (c charset) MatchString(s string) bool {
	if len(s) < c.min {
		return false
	}
	for _, r := range s {
		if !c.has(r) {
			return false
		}
	}
	return true
}

func (c charset) has(r rune) bool {
	for i := 0; i < len(c.ranges) && r >= c.ranges[i]; i += 2 {
		if r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}

// compilePattern is the engine of the schemas' patterns: RE2, which is linear
// whatever the pattern, and charset where that is all that is asked.
func compilePattern(source string) (jsonschema.Regexp, error) {
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if parsed.Op == syntax.OpConcat && len(parsed.Sub) == 3 &&
		parsed.Sub[0].Op == syntax.OpBeginText && parsed.Sub[2].Op == syntax.OpEndText {
		repeat := parsed.Sub[1]
		all := repeat.Op == syntax.OpStar || repeat.Op == syntax.OpPlus
		if all && repeat.Sub[0].Op == syntax.OpCharClass {
			least := 0
			if repeat.Op == syntax.OpPlus {
				least = 1
			}
			return charset{source, repeat.Sub[0].Rune, least}, nil
		}
	}
	return regexp.Compile(source)
}
