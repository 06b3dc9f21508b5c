package rootfs

import (
	"context"
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

// Trees is a directory of trees: sha256/HEX/root is a tree and sha256/HEX/tree.json its listing. Any number of
// processes may use one at once. A tree appears complete or not at all, by rename. Whoever builds or uses trees holds
// the store's RLock or Lock, until a model names them, so that nobody sweeps them away.
type Trees struct {
	dir    string
	limits Limits
}

// OpenTrees opens the trees below dir, which it makes if need be. It must be called as root, for trees are root's.
func OpenTrees(dir string) (*Trees, error) {
	for _, sub := range []string{"sha256", "sources"} {
		if err := makeDirs(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("open trees %q: %w", dir, err)
		}
	}
	return &Trees{dir: dir, limits: DefaultLimits}, nil
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

// WithLimits gives the same trees with other limits on the archives that they are built from.
func (t *Trees) WithLimits(l Limits) *Trees {
	c := *t
	c.limits = l
	return &c
}

// Root gives the directory of a tree's files, whether it exists or not.
func (t *Trees) Root(d models.Digest) string {
	h, err := hexOf(d)
	if err != nil {
		h = "invalid"
	}
	return filepath.Join(t.dir, "sha256", h, "root")
}

// Has says whether the tree is there. A tree is there with all of its files or not at all.
func (t *Trees) Has(d models.Digest) bool {
	_, err := os.Lstat(t.Root(d))
	return err == nil
}

// Listing reads and checks the listing of a tree. An absent tree is an error that fs.ErrNotExist matches.
func (t *Trees) Listing(d models.Digest) (Listing, error) {
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

// lockFile takes a flock on the file at path, which it makes, and waits for it until ctx is done.
func lockFile(ctx context.Context, path string, how int) (func() error, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := flock(f, how|unix.LOCK_NB); err == nil {
		return f.Close, nil
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
	}
	// flock cannot be given a deadline: a thread waits in it, and gives the lock back when nobody wants it any more.
	done := make(chan error, 1)
	go func() { done <- flock(f, how) }()
	select {
	case err := <-done:
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
		}
		return f.Close, nil
	case <-ctx.Done():
		go func() { <-done; _ = f.Close() }()
		return nil, fmt.Errorf("lock %q: held by another mmbox: %w", path, context.Cause(ctx))
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// newTemp makes a directory for a tree in the making, leased by a lock on it that ends with the process at the latest.
func (t *Trees) newTemp() (string, *os.File, error) {
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
		err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
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
