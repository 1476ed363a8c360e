package embedded

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A seed is a cluster that was made once per PostgreSQL version and is copied for each throwaway stack: 0.1 s instead of the
// 1 s of initdb. It has never run, so the copy is consistent. Its password is the same in every copy, which only tests accept.

// seedVersion changes when what initialise makes changes.
const seedVersion = "2"

// seedFolder names the kept cluster of one PostgreSQL version.
func (c *cluster) seedFolder() string {
	return filepath.Join(c.o.CacheDir, "seed-"+seedVersion+"-"+c.bin.version)
}

// copySeed copies the seed, and makes it first when there is none. Test processes that start together make it once.
func (c *cluster) copySeed(ctx context.Context, dir, passwordFile string) error {
	seed := c.seedFolder()
	if err := c.makeSeed(ctx, seed); err != nil {
		return err
	}
	err := c.copyTree(filepath.Join(seed, "postgres"), dir)
	if err == nil {
		err = copyFile(filepath.Join(seed, "postgres.password"), passwordFile, 0o600)
	}
	if err != nil {
		return failed("the cached database could not be copied", c.o.DataDir, err, "")
	}
	return nil
}

func (c *cluster) makeSeed(ctx context.Context, seed string) error {
	if err := makeDir(c.o.CacheDir, 0o755); err != nil {
		return failed("the cache directory cannot be made", c.o.CacheDir, err, "")
	}
	one, err := acquireWaiting(ctx, filepath.Join(c.o.CacheDir, "seed.lock"))
	if err != nil {
		return failed("the cache directory cannot be locked", c.o.CacheDir, err, "")
	}
	defer one.release()
	if _, err := os.Stat(seed); err == nil {
		return nil
	}
	side := seed + ".init"
	err = os.RemoveAll(side) // of a process that was killed
	if err == nil {
		err = makeDir(side, dataDirMode())
	}
	if err != nil {
		return failed("the cached database could not be made", c.o.CacheDir, err, "")
	}
	if err := c.initialise(ctx, filepath.Join(side, "postgres"), filepath.Join(side, "postgres.password")); err != nil {
		return err
	}
	if err := os.Rename(side, seed); err != nil {
		return failed("the cached database could not be made", c.o.CacheDir, err, "")
	}
	return nil
}

// copyTree copies folders and plain files (a fresh cluster has nothing else) and then gives them to the account: from the
// inside out, because nobody else may change a folder in which root still works.
func (c *cluster) copyTree(from, to string) error {
	var made []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case d.IsDir():
			err = os.Mkdir(target, 0o700)
		case d.Type().IsRegular():
			err = copyFile(path, target, 0o600)
		default:
			return nil
		}
		made = append(made, target)
		return err
	})
	if err != nil {
		return err
	}
	for _, target := range slices.Backward(made) {
		if err := c.who.own(target); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
