package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// An origin is what dir or tar of a layer names: inside the manifest's directory, links followed. A manifest must not
// pull other files of the host into a model, where everybody may read them.
type origin struct {
	base string // the manifest's directory, without links
	rel  string // from base, without links; empty: the layer has none on disk
}

// findOrigin finds what a layer names below base.
func findOrigin(layer models.Layer, base string) (origin, error) {
	p := layer.Dir + layer.Tar // at most one of them is set
	if p == "" {
		return origin{}, nil
	}
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		return origin{}, err
	}
	const hint = "outside the manifest's directory: copy it there and write its relative path, as in ./root"
	if !filepath.IsLocal(p) {
		return origin{}, errors.New(hint)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(base, p))
	if err != nil {
		return origin{}, err
	}
	rel, err := filepath.Rel(base, real)
	if err != nil || !filepath.IsLocal(rel) {
		return origin{}, fmt.Errorf("its links lead to %q, %s", real, hint)
	}
	return origin{base, rel}, nil
}

func (s origin) path() string { return filepath.Join(s.base, s.rel) }

// openDir opens an origin that is a directory. Where links have changed since it was found, it still is below base.
func (s origin) openDir() (*place, error) {
	root, err := os.OpenRoot(s.base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(s.rel); err != nil {
		return nil, err
	} else if !info.IsDir() { // opening a fifo would wait for its writer
		return nil, fmt.Errorf("%q is not a directory: name one, or use tar for an archive", s.path())
	}
	f, err := root.OpenFile(s.rel, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &place{path: s.path(), dir: f}, nil
}

// openFile opens an origin that is a regular file, as openDir does.
func (s origin) openFile() (*os.File, error) {
	root, err := os.OpenRoot(s.base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(s.rel, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo has no writer to wait for
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%q is a directory: use dir instead of tar", s.path())
	} else if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", s.path())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A place is a directory that files are copied from.
type place struct {
	path   string
	dir    *os.File
	public bool     // belongs to the host: only what all its users may read is copied
	whole  []string // directories that are copied with all that is in them
}

func openHost() (*place, error) {
	f, err := os.Open("/")
	if err != nil {
		return nil, err
	}
	return &place{path: "/", dir: f, public: true}, nil
}

func (s *place) close() error { return s.dir.Close() }

// open opens a regular file by a path that holds no link. One that has become a link, or lies below one, is refused.
func (s *place) open(p string) (*os.File, fs.FileInfo, error) {
	host := filepath.Join(s.path, p)
	fd, err := unix.Openat2(int(s.dir.Fd()), "."+p, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: host, Err: err}
	}
	f := os.NewFile(uintptr(fd), host)
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%q changed while it was read: it is no regular file any more", host)
	default:
		err = s.allow(p, info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// allow refuses what other users of the host may not see: in a root everybody sees it. Of a directory they must be able to
// open what is in it, and to list it where the whole is copied.
func (s *place) allow(p string, info fs.FileInfo) error {
	needs := fs.FileMode(0o004)
	if info.IsDir() {
		needs = 0o001
		for _, dir := range s.whole {
			if p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") {
				needs = 0o005
			}
		}
	}
	if !s.public || info.Mode().Perm()&needs == needs {
		return nil
	}
	what := "file that other users of this host may not read"
	if info.IsDir() {
		what = "directory that other users of this host may not look into"
	}
	return fmt.Errorf("%q: a %s (mode %04o), and what is in a root everybody may read: copy what is meant for the model into the "+
		"manifest's directory and name it in dir or files", filepath.Join(s.path, p), what, info.Mode().Perm())
}
