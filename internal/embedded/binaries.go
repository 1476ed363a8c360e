package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldestPostgres is the first major version that the project's SQL is written and tested for.
const oldestPostgres = 15

// probeTimeout bounds "postgres --version"; the first run after an install reads some 10 MB from a cold disk.
const probeTimeout = 20 * time.Second

// binaries is a folder with initdb and postgres of one version.
type binaries struct {
	dir     string
	version string // "15.18"
	major   int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, executable(program)) }

func executable(program string) string {
	if runtime.GOOS == "windows" {
		return program + ".exe"
	}
	return program
}

// findBinaries looks at places in order and takes the first that fits: the major version of the cluster when there is one
// (major > 0), else any that is new enough. seen tells a person what was there and did not fit.
func findBinaries(ctx context.Context, who *account, places iter.Seq[string], major int) (found binaries, seen []string, ok bool) {
	looked := map[string]bool{}
	for place := range places {
		if !filepath.IsAbs(place) {
			continue // never a program from wherever we happen to stand
		}
		dir, err := resolve(place)
		if err != nil || looked[dir] {
			continue
		}
		looked[dir] = true
		b, err := probe(ctx, who, dir)
		switch {
		case err != nil:
			seen = append(seen, fmt.Sprintf("%s (%v)", dir, err))
		case b.major < oldestPostgres || major > 0 && b.major != major:
			seen = append(seen, fmt.Sprintf("%s (PostgreSQL %s)", dir, b.version))
		default:
			return b, seen, true
		}
	}
	return binaries{}, seen, false
}

// resolve follows links (/usr/local/bin/postgres → the real folder) and checks that both programs are there as programs:
// a wrapper script would stand between us and the server, and get our signals in its place.
func resolve(place string) (string, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(place, executable("postgres")))
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(real)
	for _, program := range []string{"postgres", "initdb"} {
		f, err := os.Open(filepath.Join(dir, executable(program)))
		if err != nil {
			return "", err
		}
		head := make([]byte, 2)
		_, err = io.ReadFull(f, head)
		f.Close()
		if err != nil || string(head) == "#!" {
			return "", fmt.Errorf("%s is not a program", program)
		}
	}
	return dir, nil
}

// probe runs the server's --version as the account that will run it.
func probe(ctx context.Context, who *account, dir string) (binaries, error) {
	b := binaries{dir: dir}
	out, err := ask(ctx, who, b.path("postgres"), "--version")
	if err != nil {
		return b, err
	}
	b.version, b.major, err = parsePostgresVersion(out)
	return b, err
}

// ask runs a program as the account and returns what it prints.
func ask(ctx context.Context, who *account, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	who.as(cmd)
	cmd.Env = environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, lastLines(stderr.String()))
	}
	return string(out), err
}

// parsePostgresVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parsePostgresVersion(text string) (version string, major int, err error) {
	m := regexp.MustCompile(`\(PostgreSQL\) ((\d+)[\w.]*)`).FindStringSubmatch(text)
	if m == nil {
		return "", 0, fmt.Errorf("no version in %q", lastLines(text))
	}
	major, err = strconv.Atoi(m[2])
	return m[1], major, err
}

// places lists where PostgreSQL may be, best first. It is lazy: a hit in the cache asks nobody else.
func places(ctx context.Context, who *account, cached string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(cached) {
			return
		}
		if p, err := exec.LookPath("postgres"); err == nil && !yield(filepath.Dir(p)) {
			return
		}
		if p, err := exec.LookPath("pg_config"); err == nil {
			if out, err := ask(ctx, who, p, "--bindir"); err == nil && !yield(strings.TrimSpace(out)) {
				return
			}
		}
		for _, pattern := range []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/pgsql-*/bin",
			"/usr/libexec/postgresql*",
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
			`C:\Program Files\PostgreSQL\*\bin`,
		} {
			hits, _ := filepath.Glob(pattern) // the only error is a bad pattern
			slices.SortFunc(hits, func(a, b string) int { return number(b) - number(a) })
			for _, hit := range hits {
				if !yield(hit) {
					return
				}
			}
		}
	}
}

// number is the first number in a path: the version, in every place that we know.
func number(path string) int {
	n, _ := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(path))
	return n
}

// environment is all that a program which we start gets of ours: nothing that could carry a secret, load a library into it or
// change its files or language.
//
// Threat: text that meets a shell is a program (CWE-78), and a variable such as LD_PRELOAD or PGOPTIONS is an argument that
// nobody sees. So this package alone starts programs (a test holds that), each by its path with a list of arguments that are
// constants or paths of our own, never through a shell and never with a word that came over the network.
//
//control:name no-shell
func environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "LC_ALL=" + serverLocale()}
	if runtime.GOOS == "windows" { // without these a process does not even start
		env = append(env, "SystemRoot="+os.Getenv("SystemRoot"), "TEMP="+os.Getenv("TEMP"))
	}
	return env
}

// serverLocale knows letters beyond ASCII (full-text search needs that) and no country's sorting.
func serverLocale() string {
	if runtime.GOOS == "linux" {
		return "C.UTF-8"
	}
	return "C"
}
