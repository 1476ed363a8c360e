package site

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Static files are read once and served from a map, so there is no path to traverse
// and no directory to list. Their address holds a hash over all of them: a file
// never changes under its address, and modules that import each other by relative
// paths are always of one version.

type asset struct {
	kind   string
	body   []byte
	zipped []byte // nil: not smaller
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
		if err != nil {
			return err
		}
		zipped, err := zip(body)
		files[name[len(root)+1:]] = asset{kind, body, zipped}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("site: read %s: %w", root, err)
	}
	return files, nil
}

// zip compresses what is the same for everybody and holds no secret, once, at the
// start. Nothing else here is ever compressed: the length of a compressed page tells
// what a secret in it has in common with text that an attacker chose (BREACH).
func zip(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil || b.Len() >= len(body) {
		return nil, err
	}
	return b.Bytes(), nil
}

// base is where the current static files are.
func (a assets) base() string { return "/static/" + a.hash }

func (s *Site) getAsset(w http.ResponseWriter, c *call) error {
	a, found := s.assets.files[chi.URLParam(c.Request, "*")]
	if !found || chi.URLParam(c.Request, "hash") != s.assets.hash {
		return errNotFound
	}
	// The address changes with the content, so a copy is good for ever (RFC 8246).
	return a.write(w, c.Request, "public, max-age=31536000, immutable")
}

func (s *Site) getSchema(w http.ResponseWriter, c *call) error {
	a, found := s.schemas[chi.URLParam(c.Request, "file")]
	if !found {
		return errNotFound
	}
	return a.write(w, c.Request, "public, max-age=3600")
}

func (a asset) write(w http.ResponseWriter, r *http.Request, cache string) error {
	h, body := w.Header(), a.body
	h.Add("Vary", "Accept-Encoding")
	if a.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", cache)
	_, _ = w.Write(body) // a failure is the client's, who is gone
	return nil
}
