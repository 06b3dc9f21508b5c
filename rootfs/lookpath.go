package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"mmbox/rootfs/closure"
)

// Errors of LookPath, returned wrapped.
var (
	ErrNoProgram     = errors.New("no such program in the root")
	ErrNotExecutable = errors.New("not an executable file")
)

// LookPath finds a program in a root as a shell after chroot would: a name with a slash is a path, another is looked for
// in the colon-separated directories. It returns an absolute path inside the root.
func LookPath(root, name, directories string) (string, error) {
	walk := closure.New(root)
	if strings.Contains(name, "/") {
		p := path.Join("/", name)
		return p, executable(walk, p)
	}
	for _, dir := range strings.Split(directories, ":") {
		p := path.Join("/", dir, name)
		if err := executable(walk, p); err == nil {
			return p, nil
		} else if !errors.Is(err, ErrNoProgram) {
			return "", err
		}
	}
	return "", fmt.Errorf("%q: %w: looked in %s", name, ErrNoProgram, directories)
}

func executable(walk *closure.Walk, p string) error {
	real, _, err := walk.Resolve(p)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q: %w", p, ErrNoProgram)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	info, err := walk.Lstat(real)
	if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%q: %w", p, ErrNotExecutable)
	}
	return nil
}
