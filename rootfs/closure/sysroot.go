package closure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A sysroot is a directory looked at as if it were /: links are followed inside of it, as after chroot. Its content
// must not change meanwhile.
type sysroot struct {
	dir   string
	stats map[string]fs.FileInfo // nil: absent
}

func newSysroot(dir string) *sysroot {
	return &sysroot{dir: dir, stats: map[string]fs.FileInfo{}}
}

// On gives the host's name of a path that holds no link but as its last component.
func (s *sysroot) On(p string) string { return filepath.Join(s.dir, p) }

// Lstat is os.Lstat for a path that holds no link but as its last component.
func (s *sysroot) Lstat(p string) (fs.FileInfo, error) {
	info, seen := s.stats[p]
	if !seen {
		var err error
		if info, err = os.Lstat(s.On(p)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return nil, err
		}
		s.stats[p] = info
	}
	if info == nil {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return info, nil
}

const maxLinks = 40 // as in the kernel

// Resolve follows p to what is neither a link nor below one, and gives the links it went through, each by a path that
// is itself below none.
func (s *sysroot) Resolve(p string) (real string, links []string, err error) {
	todo, at := strings.Split(p, "/"), "/"
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, err := s.Lstat(next)
		if err != nil {
			return "", links, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links = append(links, next); len(links) > maxLinks {
			return "", links, fmt.Errorf("%q: links lead in a circle: %w", p, unix.ELOOP)
		}
		target, err := os.Readlink(s.On(next))
		if err != nil {
			return "", links, err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, links, nil
}

// ReadELF reads an ELF file of the root, by a path without links.
func (s *sysroot) ReadELF(real string) (*File, error) {
	info, err := s.Lstat(real)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a fifo would wait
		return nil, ErrNotELF
	}
	f, err := os.Open(s.On(real))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readELF(f)
}
