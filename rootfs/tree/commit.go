package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// Commit names the stage by its listing's digest and moves it into place, where it is complete and on disk. A tree of
// that digest that is there already wins. The stage is empty afterwards.
func (s *Stage) Commit() (models.Digest, error) {
	data, d, err := newListing(s.entries, s.listed()).marshal()
	if err != nil {
		return "", fmt.Errorf("list tree: %w", err)
	}
	if s.trees.Has(d) {
		return d, nil
	}
	if err := s.seal(data); err != nil {
		return "", fmt.Errorf("finish tree: %w", err)
	}
	final := filepath.Dir(s.trees.Root(d))
	err = os.Rename(s.dir, final)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return d, nil
	} else if err != nil {
		return "", fmt.Errorf("finish tree: %w", err)
	}
	s.dir = ""
	if err := syncDir(filepath.Dir(final)); err != nil {
		return "", fmt.Errorf("finish tree: %w", err)
	}
	return d, nil
}

// seal writes the listing, gives directories their mode and time, and has everything written to the disk: once for the
// whole file system, since an fsync for each of thousands of files would take minutes.
func (s *Stage) seal(listing []byte) error {
	s.closeFDs()
	if err := os.RemoveAll(filepath.Join(s.dir, "scratch")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "tree.json"), listing, 0o444); err != nil {
		return err
	}
	dirs := []string{"/"}
	for p, e := range s.entries {
		if e.Kind == Dir {
			dirs = append(dirs, p)
		}
	}
	for _, p := range dirs {
		p = filepath.Join(s.RootDir(), p)
		if !s.exact { // else Mkdirat gave the mode
			if err := os.Chmod(p, 0o555); err != nil {
				return err
			}
		}
		if err := os.Chtimes(p, Epoch, Epoch); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	return unix.Syncfs(int(s.lease.Fd()))
}

// Retain removes every entry that keep does not name, and directories that are left empty by that.
func (s *Stage) Retain(keep map[string]bool) error {
	var gone []string
	for p := range s.entries {
		if !keep[p] {
			gone = append(gone, p)
		}
	}
	slices.Sort(gone)
	slices.Reverse(gone) // what is inside comes before its directory
	for _, p := range gone {
		if err := s.remove(p); err != nil {
			return fmt.Errorf("prune tree: %w", err)
		}
	}
	return nil
}

// remove takes an entry away: a file, a link or an empty directory. The path is below no link, for the stage made it.
func (s *Stage) remove(p string) error {
	if err := os.Remove(filepath.Join(s.RootDir(), p)); err != nil {
		return err
	}
	if s.parent == p || strings.HasPrefix(s.parent, p+"/") {
		s.parent = "" // its descriptor names a directory that is gone
	}
	delete(s.entries, p)
	return nil
}
