package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/rootfs/closure"
)

// Errors of LookPath, returned wrapped.
var (
	ErrNoProgram     = errors.New("no such program in the root")
	ErrNotExecutable = errors.New("not an executable file")
)

// LookPath finds a program in a root as a shell after chroot would: a name with a slash is a path, from / if it is
// relative; another is looked for in the colon-separated directories, where what cannot be executed is passed by. It
// returns an absolute path inside the root, which holds a ".." if the name does: where that leads, links decide.
func LookPath(root, name, directories string) (string, error) {
	walk := closure.New(root)
	if strings.Contains(name, "/") {
		p := absolute(name)
		if err := executable(walk, p); err != nil {
			return "", err
		}
		return p, nil
	}
	var refused error
	for _, dir := range strings.Split(directories, ":") {
		if dir == "" || name == "" || name == "." || name == ".." {
			continue
		}
		p := absolute(dir + "/" + name)
		err := executable(walk, p)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, ErrNotExecutable):
			if refused == nil {
				refused = err
			}
		case !errors.Is(err, ErrNoProgram):
			return "", err
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", fmt.Errorf("%q: %w: looked in %q", name, ErrNoProgram, directories)
}

// absolute tidies a path without changing where it leads.
func absolute(p string) string {
	if slices.Contains(strings.Split(p, "/"), "..") || strings.HasSuffix(p, "/") {
		return "/" + strings.TrimLeft(p, "/")
	}
	return path.Clean("/" + p)
}

func executable(walk *closure.Walk, p string) error {
	real, _, err := walk.Resolve(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%q: %w", p, ErrNoProgram)
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%q: %w: its links lead in a circle", p, ErrNotExecutable)
	case err != nil:
		return fmt.Errorf("%q: %w", p, err)
	}
	info, err := walk.Lstat(real)
	switch {
	case err != nil:
		return fmt.Errorf("%q: %w", p, err)
	case info.IsDir():
		return fmt.Errorf("%q: %w but a directory", p, ErrNotExecutable)
	case strings.HasSuffix(p, "/"):
		return fmt.Errorf("%q: %w: leave out the slash at the end", p, ErrNotExecutable)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%q: %w", p, ErrNotExecutable)
	}
	return nil
}
