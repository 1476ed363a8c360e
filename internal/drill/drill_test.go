package drill_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/drill"
)

// A plan that nobody has run is a wish.
//
//control:proves drill
func TestRun_everyIncidentIsContainedAndLeavesEvidence(t *testing.T) {
	for _, s := range drill.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "evidence")
			var progress bytes.Buffer
			r, err := drill.Run(t.Context(), s.Name, drill.Options{Dir: dir, Progress: &progress})
			if err != nil {
				t.Fatalf("%v\n%s", err, &progress)
			}
			if !r.Passed || r.Contained <= 0 || len(r.Steps) < 5 {
				t.Errorf("passed %v, contained after %s, %d steps\n%s", r.Passed, r.Contained, len(r.Steps), &progress)
			}
			t.Logf("contained after %s\n%s", r.Contained, &progress)
			sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"report.md", "report.json", "events.jsonl", "chain.txt", "nodes.log"} {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil || len(b) == 0 {
					t.Errorf("%s: %d bytes, %v", name, len(b), err)
				}
				if !strings.Contains(string(sums), fmt.Sprintf("%x  %s\n", sha256.Sum256(b), name)) {
					t.Errorf("the sum of %s is wrong or missing", name)
				}
			}
		})
	}
}

func TestRun_refusesWhatIsNoScenario(t *testing.T) {
	if _, err := drill.Run(t.Context(), "flood", drill.Options{Dir: t.TempDir()}); err == nil {
		t.Error("no error")
	}
}

//control:proves drill
func TestRun_neverWritesOverEvidence(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.md"), []byte("of last quarter"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // without the rule it would start servers
	defer cancel()
	if _, err := drill.Run(ctx, "stolen-session", drill.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a drill into a folder with evidence: %v", err)
	}
}
