package site

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"

	"github.com/go-chi/chi/v5"
)

// Static files are read once and served from a map, so there is no path to traverse
// and no directory to list. Their address holds a hash over all of them: a file
// never changes under its address, and modules that import each other by relative
// paths are always of one version.

type asset struct {
	kind string
	body []byte
}

type assets struct {
	hash  string
	files map[string]asset // by path below static/
}

// kinds of files by ending. The machine's own table of types is not asked: it
// differs between machines, and "nosniff" makes a wrong type a broken page.
var mediaTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".ico":         "image/x-icon",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".webmanifest": "application/manifest+json",
}

func readAssets(web fs.FS) (assets, error) {
	files, err := readFiles(web, "static")
	if err != nil {
		return assets{}, err
	}
	sum := sha256.New()
	err = fs.WalkDir(web, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body := files[name[len("static/"):]].body
		_, err = fmt.Fprintf(sum, "%s\x00%d\x00%s", name, len(body), body)
		return err
	})
	return assets{hex.EncodeToString(sum.Sum(nil)[:8]), files}, err
}

func readSchemas(web fs.FS) (map[string]asset, error) { return readFiles(web, "schemas") }

// readFiles reads every file below root, keyed by its path there.
func readFiles(web fs.FS, root string) (map[string]asset, error) {
	files := map[string]asset{}
	err := fs.WalkDir(web, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, known := mediaTypes[path.Ext(name)]
		if !known {
			return fmt.Errorf("%s: no media type for this ending", name)
		}
		body, err := fs.ReadFile(web, name)
		files[name[len(root)+1:]] = asset{kind, body}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("site: read %s: %w", root, err)
	}
	return files, nil
}

// base is where the current static files are.
func (a assets) base() string { return "/static/" + a.hash }

func (s *Site) getAsset(w http.ResponseWriter, c *call) error {
	a, found := s.assets.files[chi.URLParam(c.Request, "*")]
	if !found || chi.URLParam(c.Request, "hash") != s.assets.hash {
		return errNotFound
	}
	// The address changes with the content, so a copy is good for ever (RFC 8246).
	return a.write(w, "public, max-age=31536000, immutable")
}

func (s *Site) getSchema(w http.ResponseWriter, c *call) error {
	a, found := s.schemas[chi.URLParam(c.Request, "file")]
	if !found {
		return errNotFound
	}
	return a.write(w, "public, max-age=3600")
}

func (a asset) write(w http.ResponseWriter, cache string) error {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Cache-Control", cache)
	_, _ = w.Write(a.body) // a failure is the client's, who is gone
	return nil
}
