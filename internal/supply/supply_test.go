package supply_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"

	"example.com/portcullis/internal/supply"
)

var write = flag.Bool("write", false, "write licences.tsv anew")

// permissive are the licences that a fork can live with in a closed product.
var permissive = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"}

type module struct{ Path, Version, Dir string }

// linked are the modules that the server is linked from, for the machine of the test.
func linked(t *testing.T) []module {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", "../../cmd/portcullis")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	seen := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if m := p.Module; m != nil && !m.Main {
			seen[m.Path] = module{m.Path, m.Version, m.Dir}
		}
	}
	if len(seen) < 10 {
		t.Fatalf("only %d modules: that cannot be all", len(seen))
	}
	var all []module
	for _, m := range seen {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// A closed product that links a copyleft library has a problem that no test of ours
// would otherwise see.
//
//control:proves supply-chain
func TestLicences_areRecognisedFromTheTextsAndPermissive(t *testing.T) {
	texts, err := assets.DefaultClassifier()
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, m := range linked(t) {
		id := licence(t, texts, m)
		if !slices.Contains(permissive, id) {
			t.Errorf("%s %s: licence %q is not one of %v", m.Path, m.Version, id, permissive)
		}
		fmt.Fprintf(&list, "%s\t%s\n", m.Path, id)
	}
	if *write {
		if err := os.WriteFile("licences.tsv", []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("licences.tsv")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list.String(), string(have)); diff != "" {
		t.Errorf("licences.tsv is not what is linked; go test ./internal/supply -run Licences -write\n%s", diff)
	}
}

// licence reads every licence file of a module and returns the main one.
func licence(t *testing.T, texts *classifier.Classifier, m module) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.Dir, "[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range texts.Match(b).Matches {
			if match.MatchType == "License" {
				return match.Name
			}
		}
	}
	return ""
}

//control:proves supply-chain
func TestFloors_nothingWithAKnownHoleIsLinked(t *testing.T) {
	versions := map[string]string{}
	for _, m := range linked(t) {
		versions[m.Path] = m.Version
	}
	for _, err := range supply.Check(versions, supply.Floors()) {
		t.Error(err)
	}
	for _, f := range supply.Floors() {
		if versions[f.Module] == "" && f.Module != "golang.org/x/crypto" {
			t.Errorf("%s has a floor and is not linked", f.Module)
		}
	}
}

// The pins of the day on which each hole was published.
//
//control:proves supply-chain
func TestCheck_findsASeededVulnerablePin(t *testing.T) {
	for module, pin := range map[string]string{
		"github.com/go-chi/chi/v5":     "v5.2.5",
		"github.com/gorilla/websocket": "v1.4.0",
		"github.com/jackc/pgx/v5":      "v5.9.1",
		"github.com/golang-jwt/jwt/v5": "v5.2.1",
		"github.com/redis/go-redis/v9": "v9.7.2",
		"golang.org/x/crypto":          "v0.30.0",
		"github.com/go-chi/chi/v5 ":    "", // not linked
	} {
		broken := supply.Check(map[string]string{module: pin}, supply.Floors())
		if want := pin != ""; (len(broken) == 1) != want {
			t.Errorf("%s %s: %v", module, pin, broken)
		}
	}
	if broken := supply.Check(map[string]string{"github.com/gorilla/websocket": "(devel)"}, supply.Floors()); len(broken) != 1 {
		t.Errorf("a version that is none passed: %v", broken)
	}
}

// The tool that CI asks must be able to fail: a database that knows a hole in what
// we link makes it do so.
//
//control:proves supply-chain
func TestVulnerabilityScan_failsOnASeededHole(t *testing.T) {
	db := t.TempDir()
	entry := map[string]any{
		"schema_version": "1.3.1", "id": "GO-0000-0001", "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z", "summary": "a hole for the test",
		"database_specific": map[string]string{"url": "https://pkg.go.dev/vuln/GO-0000-0001", "review_status": "REVIEWED"},
		"affected": []any{map[string]any{
			"package":            map[string]string{"name": "github.com/gorilla/websocket", "ecosystem": "Go"},
			"ranges":             []any{map[string]any{"type": "SEMVER", "events": []any{map[string]string{"introduced": "0"}}}},
			"ecosystem_specific": map[string]any{"imports": []any{map[string]any{"path": "github.com/gorilla/websocket"}}},
		}},
	}
	for name, content := range map[string]any{
		"index/db.json":        map[string]string{"modified": "2026-01-01T00:00:00Z"},
		"index/modules.json":   []any{map[string]any{"path": "github.com/gorilla/websocket", "vulns": []any{map[string]string{"id": "GO-0000-0001", "modified": "2026-01-01T00:00:00Z"}}}},
		"index/vulns.json":     []any{map[string]any{"id": "GO-0000-0001", "modified": "2026-01-01T00:00:00Z"}},
		"ID/GO-0000-0001.json": entry,
	} {
		b, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(db, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "tool", "govulncheck", "-db", "file://"+db, "-C", "../../cmd/portcullis", "-scan", "module")
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err == nil || code != 3 || !bytes.Contains(out, []byte("GO-0000-0001")) {
		t.Errorf("exit code %d, want 3 (found something): %v\n%s", code, err, out)
	}
}

//control:proves supply-chain
func TestSBOM_listsEveryModuleOfTheBinary(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "example.com/portcullis", Version: "v1.2.3"}, Deps: []*debug.Module{
		{Path: "github.com/gorilla/websocket", Version: "v1.5.3", Sum: "h1:abc="},
		{Path: "github.com/forked/from", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/mended", Version: "v1.0.1"}},
	}}
	text, err := supply.SBOM(info)
	if err != nil {
		t.Fatal(err)
	}
	bom := new(cyclonedx.BOM)
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.PackageURL)
	}
	want := []string{"pkg:golang/example.org/mended@v1.0.1", "pkg:golang/github.com/gorilla/websocket@v1.5.3", "pkg:golang/stdlib@go1.26.8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if licences := (*bom.Components)[1].Licenses; licences == nil || (*licences)[0].License.ID == "" {
		t.Error("gorilla/websocket without its licence")
	}
	again, err := supply.SBOM(info)
	if err != nil || !bytes.Equal(text, again) {
		t.Error("two lists of one binary differ")
	}
	if _, err := supply.SBOM(nil); err == nil {
		t.Error("a binary without module information has a list")
	}
}
