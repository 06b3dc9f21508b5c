package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// Junk is something below the trees' directory that nothing needs.
type Junk struct {
	Path string        `json:"path"`             // on this host
	Tree models.Digest `json:"digest,omitempty"` // none: what an interrupted build left
	Size int64         `json:"size"`             // bytes that are freed when it goes
}

// Garbage finds the trees that are not referenced and what interrupted builds left. A build that is under way is none.
func (t *Store) Garbage(referenced map[models.Digest]bool) ([]Junk, error) {
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
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// weigh gives each piece the size that it frees: files with a name elsewhere too stay. Of files that several pieces
// share, the last frees them.
func (t *Store) weigh(junk []Junk) error {
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
func (t *Store) Sweep(referenced map[models.Digest]bool) ([]Junk, error) {
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
func (t *Store) drop(j Junk) error {
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
func (t *Store) forget() error {
	entries, err := os.ReadDir(t.SourcesDir())
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(t.SourcesDir(), e.Name())))
	}
	return err
}
