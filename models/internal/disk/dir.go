// Package disk keeps a directory in which things appear at once or not at all: each write is a temporary file or
// directory, fsync and rename. A crash leaves at most what Temps finds. Everything is readable for all, whatever the umask.
//
// Not for files that change: what has appeared is only ever removed.
package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// What is being made has a name that starts with tempPrefix, which no finished thing has.
const tempPrefix = ".tmp-"

// A Dir is a handle on a directory, which need not exist until something is written. Its methods may be called from many
// goroutines and many processes at once. Names are slash-separated and start at the directory.
type Dir struct {
	path string
	mu   sync.Mutex
	root *os.Root // nil until the directory is there
}

// Open gives a handle on a directory and creates nothing. The caller closes it.
func Open(dir string) (*Dir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", dir, err)
	}
	d := &Dir{path: abs}
	if _, err := d.open(false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d, nil
}

// Close lets go of the directory. What was locked stays so until its unlock.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root == nil {
		return nil
	}
	err := d.root.Close()
	d.root = nil
	return err
}

// Path is the directory's absolute path.
func (d *Dir) Path() string { return d.path }

// open gives the handle on the directory. An absent directory is made, or is an error that fs.ErrNotExist matches.
func (d *Dir) open(create bool) (*os.Root, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil {
		return d.root, nil
	}
	root, err := os.OpenRoot(d.path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := makeOutside(d.path); err != nil {
			return nil, d.explain("create directory", err)
		}
		root, err = os.OpenRoot(d.path)
	}
	if info, statErr := os.Stat(d.path); err != nil && statErr == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: d.path, Err: syscall.ENOTDIR} // OpenRoot's own error has no code
	}
	if err != nil {
		return nil, d.explain("open directory", err)
	}
	d.root = root
	return root, nil
}

// makeOutside makes a directory that no handle is on yet.
func makeOutside(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	above, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(above.Sync(), above.Close())
}

// makeAll makes a directory and those above it, and the handle's own.
func (d *Dir) makeAll(dir string) (*os.Root, error) {
	root, err := d.open(true)
	if err != nil {
		return nil, err
	}
	for i := range len(dir) + 1 {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		part := dir[:i]
		switch err := root.Mkdir(part, 0o755); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return nil, d.explain("create directory", err)
		}
		if err := errors.Join(root.Chmod(part, 0o755), syncDir(root, path.Dir(part))); err != nil {
			return nil, d.explain("create directory", err)
		}
	}
	return root, nil
}

// explain says what failed and, where the disk or the rights are at fault, what to do about it.
func (d *Dir) explain(operation string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = fmt.Sprintf("; the file system of %s is full: free some space (mmbox gc removes what no model uses) and try again", d.path)
	case errors.Is(err, syscall.EROFS):
		hint = fmt.Sprintf("; %s cannot be written to: choose another directory with --root", d.path)
	case errors.Is(err, fs.ErrPermission):
		hint = "; become root, or choose a directory of your own with --root"
	case errors.Is(err, syscall.ENOTDIR):
		hint = "; choose a directory with --root"
	}
	return fmt.Errorf("%s: %w%s", operation, err, hint)
}

// Names gives the names in a directory, sorted, without what is only being made; none where it is absent.
func (d *Dir) Names(dir string) ([]string, error) {
	names, err := d.list(dir)
	var finished []string
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			finished = append(finished, name)
		}
	}
	return finished, err
}

func (d *Dir) list(dir string) ([]string, error) {
	root, err := d.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := fs.ReadDir(root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, d.explain("list directory", err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names, nil
}

// A Temp is an unfinished file or directory.
type Temp struct {
	Path string `json:"path"` // from the store's directory
	Size int64  `json:"size"` // bytes, of all the files in it
}

// Temps finds what is only being made in a directory, or was when its maker died.
func (d *Dir) Temps(dir string) ([]Temp, error) {
	names, err := d.list(dir)
	if err != nil {
		return nil, err
	}
	var temps []Temp
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		t := Temp{Path: dir + "/" + name}
		if t.Size, err = d.Size(t.Path); err != nil {
			return nil, err
		}
		temps = append(temps, t)
	}
	return temps, nil
}

// Size gives the bytes of a file, or of all the files in a directory. An absent one is an error that fs.ErrNotExist matches.
func (d *Dir) Size(name string) (int64, error) {
	root, err := d.open(false)
	if err != nil {
		return 0, err
	}
	var sum int64
	err = fs.WalkDir(root.FS(), name, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, d.explain("measure file", err)
	}
	return sum, nil
}

// ReadFile gives the content of a file. An absent one is an error that fs.ErrNotExist matches.
func (d *Dir) ReadFile(name string) ([]byte, error) {
	root, err := d.open(false)
	if err != nil {
		return nil, err
	}
	content, err := root.ReadFile(name)
	if err != nil {
		return nil, d.explain("read file", err)
	}
	return content, nil
}

// syncDir makes the entries of a directory last.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func tempName(dir string) string { return dir + "/" + tempPrefix + strings.ToLower(rand.Text()) }
