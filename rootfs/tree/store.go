package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// Epoch is the modification time of everything in a tree. It is one second after zero, because some programs take
// zero for "no such file".
var Epoch = time.Unix(1, 0)

// A Store is a directory of trees: sha256/HEX/root is a tree and sha256/HEX/tree.json its listing. Any number of
// processes may use one at once. A tree appears complete or not at all, by rename. Whoever builds or uses trees holds
// the store's RLock or Lock, until a model names them, so that nobody sweeps them away.
type Store struct{ dir string }

// Open opens the trees below dir, which it makes if need be. It must be called as root, for trees are root's.
func Open(dir string) (*Store, error) {
	for _, sub := range []string{"sha256", "sources"} {
		if err := makeDirs(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("open trees %q: %w", dir, err)
		}
	}
	return &Store{dir}, nil
}

// makeDirs makes a directory and those above it, readable for all whatever the umask: sandboxes look in as other users.
func makeDirs(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// SourcesDir is for what builders remember of the sources of trees. Nothing in it is missed: Sweep empties it.
func (t *Store) SourcesDir() string { return filepath.Join(t.dir, "sources") }

// Root gives the directory of a tree's files, whether it exists or not.
func (t *Store) Root(d models.Digest) string {
	h, err := hexOf(d)
	if err != nil {
		h = "invalid"
	}
	return filepath.Join(t.dir, "sha256", h, "root")
}

// Has says whether the tree is there. A tree is there with all of its files or not at all.
func (t *Store) Has(d models.Digest) bool {
	_, err := os.Lstat(t.Root(d))
	return err == nil
}

// Listing reads and checks the listing of a tree. An absent tree is an error that fs.ErrNotExist matches.
func (t *Store) Listing(d models.Digest) (Listing, error) {
	if _, err := hexOf(d); err != nil {
		return Listing{}, fmt.Errorf("read listing: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(t.Root(d)), "tree.json"))
	if err != nil {
		return Listing{}, fmt.Errorf("read listing of tree %q: %w", d, err)
	}
	l, err := parseListing(data, d)
	if err != nil {
		return Listing{}, fmt.Errorf("read listing of tree %q: %w", d, err)
	}
	return l, nil
}

// newTemp makes a directory for a tree in the making, leased by a lock on it that ends with the process at the latest.
func (t *Store) newTemp() (string, *os.File, error) {
	for {
		dir, err := os.MkdirTemp(t.dir, tempPrefix)
		if err != nil {
			return "", nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Sweep took it before it was leased
		} else if err != nil {
			return "", nil, err
		}
		var st unix.Stat_t
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			err = unix.Fstat(int(f.Fd()), &st)
		}
		if err == nil && st.Nlink > 0 {
			return dir, f, nil
		}
		if cerr := f.Close(); cerr != nil {
			return "", nil, cerr
		}
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return "", nil, err
		}
	}
}

const tempPrefix = "tmp-"

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
