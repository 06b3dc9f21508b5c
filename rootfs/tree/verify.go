package tree

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"mmbox/models"
)

// VerifyTree reads every file of a tree and compares it with the listing, and the listing with the digest. The error
// names the first path that differs, and how.
func (t *Store) VerifyTree(ctx context.Context, d models.Digest) error {
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
func (t *Store) Verify(ctx context.Context, m *models.Model) error {
	for _, d := range append([]models.Digest{m.Root}, m.Layers...) {
		if err := t.VerifyTree(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
