package drill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// eventsAtOnce is how many events are read in one call.
const eventsAtOnce = 500

// write makes the evidence bundle: the report for people and for programs, the security
// log, the nodes' log, whether the security log is whole, and the sums of all of them.
func (s *stage) write(ctx context.Context) error {
	files := map[string][]byte{"nodes.log": []byte(s.log.String())}
	events, err := s.events(ctx)
	if err != nil {
		return err
	}
	files["events.jsonl"] = events
	whole, err := s.whole(ctx)
	if err != nil {
		return err
	}
	files["chain.txt"] = []byte(whole)
	if files["report.json"], err = json.MarshalIndent(s.report, "", "  "); err != nil {
		return err
	}
	files["report.md"] = []byte(s.report.Markdown())

	var sums strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(s.dir, name), files[name], 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(files[name]), name)
	}
	return os.WriteFile(filepath.Join(s.dir, "SHA256SUMS"), []byte(sums.String()), 0o600)
}

// events is the whole security log, a line of JSON each.
func (s *stage) events(ctx context.Context) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for last := int64(0); ; {
		list, err := s.stack.DB.Events(nil).Since(ctx, last, eventsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			last = e.ID
			if err := enc.Encode(e); err != nil {
				return nil, err
			}
		}
		if len(list) < eventsAtOnce {
			return out.Bytes(), nil
		}
	}
}

// whole verifies the chain of the security log and fails the drill if it is broken.
func (s *stage) whole(ctx context.Context) (string, error) {
	key, err := s.stack.DB.Keys().AuditKey(ctx)
	if err != nil {
		return "", err
	}
	chain, err := audit.NewChain(key)
	if err != nil {
		return "", err
	}
	anchor, err := s.stack.DB.Events(nil).Anchor(ctx)
	if err != nil {
		return "", err
	}
	var text string
	_ = s.step("the security log is whole", func() (string, error) {
		r, err := chain.Verify(s.stack.DB.Events(nil).Links(ctx, 0), 0, anchor, nil)
		if err != nil {
			return "", err
		}
		text = fmt.Sprintf("%d rows, head %s, %d findings\n", r.Rows, r.Head, len(r.Findings))
		for _, f := range r.Findings {
			text += f.String() + "\n"
		}
		if len(r.Findings) > 0 || r.Rows == 0 {
			return "", fmt.Errorf("%s", strings.TrimSpace(text))
		}
		return strings.TrimSpace(text), nil
	})
	s.report.Passed = s.report.Passed && s.report.Steps[len(s.report.Steps)-1].OK
	return text, nil
}

// Markdown is the report for people.
func (r Report) Markdown() string {
	var b strings.Builder
	verdict := "passed"
	if !r.Passed {
		verdict = "FAILED"
	}
	fmt.Fprintf(&b, "# Drill: %s\n\n%s. **%s**, contained after %s.\n\nBegan %s.\n\n| | step | seen | took |\n|---|---|---|---|\n", r.Scenario, r.Title, verdict, r.Contained.Round(time.Millisecond), r.Began.Format(time.RFC3339))
	for _, s := range r.Steps {
		mark := "ok"
		if !s.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", mark, s.Did, s.Saw, s.Took.Round(time.Millisecond))
	}
	return b.String()
}
