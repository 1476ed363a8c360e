package arch_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// workshop are the packages that never serve anybody: exploits, rehearsals, tests.
var workshop = []string{"internal/attack/", "internal/kill/", "internal/drill/", "internal/evidence/", "internal/testkit/", "internal/guard/passkey/passkeytest/", "internal/guard/session/sessiontest/", "e2e/"}

// never are packages that nothing here may use, whatever for.
var never = []string{"crypto/md5", "crypto/sha1", "crypto/des", "crypto/rc4", "crypto/dsa", "golang.org/x/crypto/md4", "golang.org/x/crypto/bcrypt"}

// Cryptography that nobody knows of is never exchanged. Each file that imports some is in
// the inventory, and each file of the inventory imports some.
//
//control:proves living-documents
func TestCryptography_isInventoried(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "cryptography.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, used, found := strings.Cut(string(text), "\n## Used\n")
	if !found {
		t.Fatal("docs/cryptography.md has no list of what is used")
	}
	imports := map[string]bool{}
	walk(t, ".go", func(path string) {
		if strings.HasSuffix(path, "_test.go") || hasPrefix(path, workshop) {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			for _, bad := range never {
				if name == bad {
					t.Errorf("%s imports %s, which is broken or not for passwords: use what docs/cryptography.md has", path, name)
				}
			}
			if strings.HasPrefix(name, "crypto/") || strings.HasPrefix(name, "golang.org/x/crypto/") {
				imports[path] = true
			}
		}
	})
	if len(imports) < 30 {
		t.Fatalf("only %d files with cryptography were found", len(imports))
	}
	for path := range imports {
		if !strings.Contains(used, "`"+path+"`") {
			t.Errorf("%s uses cryptography: give it a row under \"## Used\" in docs/cryptography.md, with what for", path)
		}
	}
	for i, word := range strings.Split(used, "`") {
		if i%2 == 1 && strings.HasSuffix(word, ".go") && !imports[word] {
			t.Errorf("docs/cryptography.md lists %s, which imports no cryptography (any more): remove it there", word)
		}
	}
}

func hasPrefix(path string, any []string) bool {
	for _, p := range any {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}
