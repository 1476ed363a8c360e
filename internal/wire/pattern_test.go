package wire

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

//control:proves schema
func TestCompilePattern_agreesWithRE2(t *testing.T) {
	for _, source := range []string{
		"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$",
		`^[A-Za-z0-9_.-]+$`, `^[a-z_]{1,32}$`, `^[a-z]*`, `[a-z]*$`, `^a*$`, `^[0-9a-f]{8}-[0-9a-f]{4}$`,
	} {
		ours, err := compilePattern(source)
		if err != nil {
			t.Fatalf("%q: %v", source, err)
		}
		re := regexp.MustCompile(source)
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(source))
		rapid.Check(t, func(t *rapid.T) {
			s := text.Draw(t, "text")
			if got, want := ours.MatchString(s), re.MatchString(s); got != want {
				t.Fatalf("%q on %q: %v, want %v", source, s, got, want)
			}
		})
	}
	if _, fast := must(compilePattern(`^[^a]*$`)).(charset); !fast {
		t.Error("a set of characters goes through the general engine")
	}
	if _, err := compilePattern(`(`); err == nil {
		t.Error("a broken pattern is accepted")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
