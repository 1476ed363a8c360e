package arch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A name that nothing records is a promise that nobody keeps, and one that no test
// waits for may be gone tomorrow.
//
//control:proves audit
func TestEvents_eachIsRecordedByTheProgramAndAskedForByATest(t *testing.T) {
	names := eventConstants(t)
	recorded, asked := map[string]bool{}, map[string]bool{}
	walk(t, ".go", func(path string) {
		if path == "internal/guard/audit/event.go" || strings.HasPrefix(path, "internal/guard/catalogue/") || strings.HasPrefix(path, "internal/arch/") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		text, test := string(b), strings.HasSuffix(path, "_test.go")
		inside := filepath.ToSlash(filepath.Dir(path)) == "internal/guard/audit"
		for id, name := range names {
			used := containsWord(text, "audit."+id) || inside && containsWord(text, "Name: "+id)
			if test {
				asked[id] = asked[id] || used || strings.Contains(text, `"`+name+`"`) || strings.Contains(text, name+`"`)
			} else {
				recorded[id] = recorded[id] || used
			}
		}
	})
	for id, name := range names {
		if !recorded[id] {
			t.Errorf("%s (%s) is in internal/guard/audit/event.go and nothing records it: record it, or remove it there and from the catalogue's Events", id, name)
		}
		if !asked[id] {
			t.Errorf("%s (%s): no test asks for it: write one that waits for the event", id, name)
		}
	}
}

// containsWord reports whether text has word, and not as the beginning of a longer one.
func containsWord(text, word string) bool {
	for {
		i := strings.Index(text, word)
		if i < 0 {
			return false
		}
		text = text[i+len(word):]
		if text == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", rune(text[0])) {
			return true
		}
	}
}
