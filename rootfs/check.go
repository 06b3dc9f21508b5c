package rootfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// VerifyTree reads every file of a tree and compares it with the listing, and the listing with the digest. The error
// names the first path that differs, and how.
func (t *Trees) VerifyTree(ctx context.Context, d models.Digest) error {
	l, err := t.Listing(d)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	want := make(map[string]*Entry, len(l.Entries))
	for i := range l.Entries {
		want[l.Entries[i].Path] = &l.Entries[i]
	}
	root := t.Root(d)
	err = filepath.WalkDir(root, func(host string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := path.Join("/", strings.TrimPrefix(host, root))
		if p == "/" {
			return nil
		}
		e := want[p]
		if e == nil {
			return fmt.Errorf("%q is not in the listing", p)
		}
		delete(want, p)
		return e.verify(host)
	})
	if err != nil {
		return fmt.Errorf("verify tree %q: %w", d, err)
	}
	for p := range want {
		return fmt.Errorf("verify tree %q: %q is missing", d, p)
	}
	return nil
}

func (e *Entry) verify(host string) error {
	info, err := os.Lstat(host)
	if err != nil {
		return err
	}
	kinds := map[fs.FileMode]Kind{0: File, fs.ModeDir: Dir, fs.ModeSymlink: Link}
	if kind := kinds[info.Mode().Type()]; kind != e.Kind {
		return fmt.Errorf("%q is a %s, not a %s", e.Path, info.Mode().Type(), e.Kind)
	}
	if e.Kind == Link {
		target, err := os.Readlink(host)
		if err == nil && target != e.Target {
			err = fmt.Errorf("%q links to %q, not to %q", e.Path, target, e.Target)
		}
		return err
	}
	if st := info.Sys().(*syscall.Stat_t); fmt.Sprintf("%04o", st.Mode&0o7777) != e.Mode || st.Uid != 0 || st.Gid != 0 {
		return fmt.Errorf("%q has mode %04o and owner %d:%d, not mode %s and 0:0", e.Path, st.Mode&0o7777, st.Uid, st.Gid, e.Mode)
	}
	if e.Kind == Dir {
		return nil
	}
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := sumDigest([sha256.Size]byte(h.Sum(nil))); got != e.SHA256 {
		return fmt.Errorf("%q has digest %s, not %s", e.Path, got, e.SHA256)
	}
	return nil
}

// Verify checks every tree that a model names.
func (t *Trees) Verify(ctx context.Context, m *models.Model) error {
	for _, d := range append([]models.Digest{m.Root}, m.Layers...) {
		if err := t.VerifyTree(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// Junk is something below the trees' directory that nothing needs.
type Junk struct {
	Path string        `json:"path"`             // on this host
	Tree models.Digest `json:"digest,omitempty"` // none: what an interrupted build left
	Size int64         `json:"size"`             // bytes that are freed when it goes
}

// Garbage finds the trees that are not referenced and what interrupted builds left. A build that is under way is none.
func (t *Trees) Garbage(referenced map[models.Digest]bool) ([]Junk, error) {
	var out []Junk
	trees, err := os.ReadDir(filepath.Join(t.dir, "sha256"))
	if err != nil {
		return nil, fmt.Errorf("find garbage: %w", err)
	}
	for _, e := range trees {
		if d := models.Digest("sha256:" + e.Name()); !referenced[d] {
			out = append(out, Junk{Path: filepath.Join(t.dir, "sha256", e.Name()), Tree: d})
		}
	}
	temps, err := filepath.Glob(filepath.Join(t.dir, tempPrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("find garbage: %w", err)
	}
	for _, p := range temps {
		busy, err := leased(p)
		if err != nil {
			return nil, fmt.Errorf("find garbage: %w", err)
		}
		if !busy {
			out = append(out, Junk{Path: p})
		}
	}
	return out, t.weigh(out)
}

// leased says whether a process is building in a directory. One that is gone is not garbage any more either.
func leased(dir string) (bool, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// weigh gives each piece the size that it frees: files with a name elsewhere too stay. Of files that several pieces
// share, the last frees them.
func (t *Trees) weigh(junk []Junk) error {
	type inode struct{ dev, ino uint64 }
	names := map[inode]uint64{}
	for i := range junk {
		err := filepath.WalkDir(junk[i].Path, func(p string, _ fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err == nil {
				err = unix.Lstat(p, &st)
			}
			if err != nil {
				return err
			}
			key := inode{st.Dev, st.Ino}
			if names[key]++; st.Mode&unix.S_IFMT == unix.S_IFDIR || names[key] == st.Nlink {
				junk[i].Size += st.Blocks * 512
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("find garbage: %w", err)
		}
	}
	return nil
}

// Sweep removes garbage and gives what it removed, also beside an error. The caller holds the store's Lock, and has
// held it since it asked which trees are referenced.
func (t *Trees) Sweep(referenced map[models.Digest]bool) ([]Junk, error) {
	junk, err := t.Garbage(referenced)
	if err != nil {
		return nil, fmt.Errorf("sweep trees: %w", err)
	}
	for i, j := range junk {
		if err := t.drop(j); err != nil {
			return junk[:i], fmt.Errorf("sweep trees: %w", err)
		}
	}
	if len(junk) > 0 {
		err = t.forget()
	}
	return junk, err
}

// drop removes a piece. A tree stops being one first, in one step, since removing takes many.
func (t *Trees) drop(j Junk) error {
	dir := j.Path
	if j.Tree != "" {
		dir = filepath.Join(t.dir, tempPrefix+filepath.Base(j.Path))
		if err := os.Rename(j.Path, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// forget removes what is remembered of inputs: those still in use are read again once.
func (t *Trees) forget() error {
	entries, err := os.ReadDir(filepath.Join(t.dir, "sources"))
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(t.dir, "sources", e.Name())))
	}
	return err
}
