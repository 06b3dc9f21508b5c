// Package origin opens the directories and files that roots are made of, so that a manifest gives away nothing of the
// host that is not its own: what it names lies in its directory, and of the host only what all users may read.
//
// Limits. It sees modes, not access control lists. A file that somebody else can change while it is read is read as it is.
package origin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// An Origin is what dir or tar of a layer names: inside the manifest's directory, links followed. A manifest must not
// pull other files of the host into a model, where everybody may read them.
type Origin struct {
	Base string // the manifest's directory, without links
	Rel  string // from Base, without links; empty: there is none
}

// Find finds what a manifest in the directory base names by p; nothing if p is empty.
func Find(base, p string) (Origin, error) {
	if p == "" {
		return Origin{}, nil
	}
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		return Origin{}, err
	}
	const hint = "outside the manifest's directory: copy it there and write its relative path, as in ./root"
	if !filepath.IsLocal(p) {
		return Origin{}, errors.New(hint)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(base, p))
	if err != nil {
		return Origin{}, err
	}
	rel, err := filepath.Rel(base, real)
	if err != nil || !filepath.IsLocal(rel) {
		return Origin{}, fmt.Errorf("its links lead to %q, %s", real, hint)
	}
	return Origin{base, rel}, nil
}

// Path is where it lies on the host.
func (s Origin) Path() string { return filepath.Join(s.Base, s.Rel) }

// OpenDir opens an origin that is a directory, for the caller to close. Where links have changed since it was found, it still is below Base.
func (s Origin) OpenDir() (*Place, error) {
	root, err := os.OpenRoot(s.Base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(s.Rel); err != nil {
		return nil, err
	} else if !info.IsDir() { // opening a fifo would wait for its writer
		return nil, fmt.Errorf("%q is not a directory: name one, or use tar for an archive", s.Path())
	}
	f, err := root.OpenFile(s.Rel, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Place{Path: s.Path(), dir: f}, nil
}

// OpenFile opens an origin that is a regular file, as OpenDir does.
func (s Origin) OpenFile() (*os.File, error) {
	root, err := os.OpenRoot(s.Base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(s.Rel, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo has no writer to wait for
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%q is a directory: use dir instead of tar", s.Path())
	} else if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", s.Path())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A Place is a directory that files are copied from.
type Place struct {
	Path   string
	dir    *os.File
	public bool     // belongs to the host: only what all its users may read is copied
	Whole  []string // directories that are copied with all that is in them
}

// Host opens the host's own root, of which only what all its users may read is given.
func Host() (*Place, error) {
	f, err := os.Open("/")
	if err != nil {
		return nil, err
	}
	return &Place{Path: "/", dir: f, public: true}, nil
}

// Close lets go of the directory.
func (s *Place) Close() error { return s.dir.Close() }

// Open opens a regular file by a path that holds no link. One that has become a link, or lies below one, is refused.
func (s *Place) Open(p string) (*os.File, fs.FileInfo, error) {
	host := filepath.Join(s.Path, p)
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
		err = s.Allow(p, info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Allow refuses what other users of the host may not see: in a root everybody sees it. Of a directory they must be able to
// open what is in it, and to list it where the whole is copied.
func (s *Place) Allow(p string, info fs.FileInfo) error {
	needs := fs.FileMode(0o004)
	if info.IsDir() {
		needs = 0o001
		for _, dir := range s.Whole {
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
		"manifest's directory and name it in dir or files", filepath.Join(s.Path, p), what, info.Mode().Perm())
}
