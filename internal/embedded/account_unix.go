//go:build unix

package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// nobody is the account of last resort: every Unix reserves this number for it.
const nobody = 65534

// account is whom the servers run as. nil means: as we are.
type account struct{ uid, gid uint32 }

// chooseAccount names an unprivileged account when we are root: the owner of the cluster when there is one (a PostgreSQL
// that was installed later must not change it), else postgres, else nobody.
func chooseAccount(cluster string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if st, err := os.Lstat(cluster); err == nil {
		owner := st.Sys().(*syscall.Stat_t)
		if owner.Uid != 0 {
			return &account{owner.Uid, owner.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{uint32(uid), uint32(gid)}, nil
		}
	}
	return &account{nobody, nobody}, nil
}

// own gives a file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// reaches fails when the account may not pass through dir or one of its parents.
func (a *account) reaches(dir string) error {
	if a == nil {
		return nil
	}
	for p := dir; ; p = filepath.Dir(p) {
		st, err := os.Stat(p)
		if err != nil {
			return failed("the directory "+dir+" cannot be used", dir, err, "")
		}
		if !a.passes(st) {
			return &Error{
				What: "the data directory " + dir + " cannot be used",
				Why: fmt.Sprintf("this process is root, so the servers run as uid %d, which may not pass through %s (mode %04o)",
					a.uid, p, st.Mode().Perm()),
				Next: "set PORTCULLIS_DATA_DIR to a directory outside of it, such as /var/lib/portcullis, or start as an ordinary user",
			}
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

// passes reads the search bit that counts for the account. The servers have no supplementary groups.
func (a *account) passes(st fs.FileInfo) bool {
	owner := st.Sys().(*syscall.Stat_t)
	switch {
	case owner.Uid == a.uid:
		return st.Mode().Perm()&0o100 != 0
	case owner.Gid == a.gid:
		return st.Mode().Perm()&0o010 != 0
	}
	return st.Mode().Perm()&0o001 != 0
}

// checkOwner keeps root out of a directory in which somebody else could swap a file for a link under root's pen.
func checkOwner(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return unwritable(dir, err)
	}
	owner := st.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || (owner.Uid == 0 && st.Mode().Perm()&0o022 == 0) {
		return nil
	}
	return &Error{
		What: "the data directory " + dir + " cannot be used",
		Why:  fmt.Sprintf("this process is root and others can write there (owner uid %d, mode %04o)", owner.Uid, st.Mode().Perm()),
		Next: "start as that user, or set PORTCULLIS_DATA_DIR to a directory that only root can write",
	}
}

// as makes cmd run as the account, in a process group of its own: a Ctrl-C in the terminal is for us, and we stop the
// servers in order.
func (a *account) as(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}
