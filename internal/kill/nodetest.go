package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// nodeTest runs the tests of the browser's scripts in a copy of web/ that holds the
// text in place of m's file.
func (r runner) nodeTest(ctx context.Context, m mutant, dir string, text []byte) (map[string]outcome, error) {
	if err := copyWeb(filepath.Join(r.root, "web"), filepath.Join(dir, "web")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(m.File)), text, 0o600); err != nil {
		return nil, err
	}
	tests, err := filepath.Glob(filepath.Join(dir, "web", "test", "*.test.js"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	out, err := start(ctx, filepath.Join(dir, "web"), "node", append([]string{"--test", "--test-reporter=tap"}, tests...)...)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, errors.New("hung: the tests of web did not end")
	}
	if err != nil {
		return nil, err
	}
	return readTAP(string(out)), nil
}

var tapLine = regexp.MustCompile(`^\s*(ok|not ok) \d+ - (.*?)( # (?:SKIP|TODO).*)?$`)

// readTAP reads the Test Anything Protocol as node prints it.
func readTAP(out string) map[string]outcome {
	seen := map[string]outcome{}
	current := ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		switch m := tapLine.FindStringSubmatch(line); {
		case m == nil:
			if seen[current] == broke && strings.Contains(line, "'ERR_ASSERTION'") {
				seen[current] = refuted
			}
		case m[3] != "":
			current = m[2]
			seen[current] = skipped
		case m[1] == "ok":
			current = m[2]
			seen[current] = passed
		default:
			current = m[2]
			seen[current] = broke
		}
	}
	return seen
}

// copyWeb copies a directory without its node_modules.
func copyWeb(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			if d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return os.MkdirAll(target, 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
}
