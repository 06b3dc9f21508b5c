package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A Bundle is an OCI bundle on disk, which any OCI runtime runs.
type Bundle struct {
	Dir    string // holds config.json and rootfs
	Root   string // Dir/rootfs
	Config string // Dir/config.json
}

// WriteBundle makes a bundle in dir, which must be absent or empty, of a spec and a copy of the root at tree. The copy
// shares no file with the store, since its user may write to it; where the file system can, it shares the blocks.
// spec.Root.Path is set to rootfs in what is written; spec itself is not changed. After a failure dir is as it was.
func WriteBundle(dir string, spec *specs.Spec, tree string) (b *Bundle, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	b = &Bundle{Dir: dir, Root: filepath.Join(dir, "rootfs"), Config: filepath.Join(dir, "config.json")}
	config, err := bundleConfig(spec)
	if err != nil {
		return nil, fmt.Errorf("write bundle %q: %w", dir, err)
	}
	undo, err := emptyDir(dir)
	if err != nil {
		return nil, fmt.Errorf("write bundle %q: %w", dir, err)
	}
	defer func() {
		if err != nil {
			b, err = nil, errors.Join(fmt.Errorf("write bundle %q: %w", dir, err), undo())
		}
	}()
	if err := copyTree(tree, b.Root); err != nil {
		return nil, err
	}
	return b, renameio.WriteFile(b.Config, config, 0o644, renameio.WithTempDir(dir))
}

func bundleConfig(spec *specs.Spec) ([]byte, error) {
	if spec == nil || spec.Root == nil {
		return nil, errors.New("the spec has no root")
	}
	out, root := *spec, *spec.Root
	root.Path = "rootfs"
	out.Root = &root
	data, err := json.MarshalIndent(&out, "", "  ")
	return append(data, '\n'), err
}

// emptyDir makes dir, or takes it if it is empty, and gives what puts it back.
func emptyDir(dir string) (undo func() error, err error) {
	err = os.Mkdir(dir, 0o755)
	if err == nil {
		return func() error { return os.RemoveAll(dir) }, nil
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%w and is not empty: name a new directory", fs.ErrExist)
	}
	return func() error {
		return errors.Join(os.RemoveAll(filepath.Join(dir, "rootfs")), os.RemoveAll(filepath.Join(dir, "config.json")))
	}, nil
}

// copyTree copies a root with its modes. Directories get write permission for their owner, so that they can be removed.
func copyTree(from, to string) error {
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dest := filepath.Join(to, strings.TrimPrefix(p, from))
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch mode := info.Mode(); mode.Type() {
		case fs.ModeDir:
			if err := os.Mkdir(dest, 0o755); err != nil {
				return err
			}
			return os.Chmod(dest, 0o755)
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(target, dest)
		case 0:
			return copyFile(p, dest, mode.Perm())
		}
		return fmt.Errorf("%q: a root has only files, directories and links", p)
	})
	if err != nil {
		return fmt.Errorf("copy root: %w", err)
	}
	f, err := os.Open(to)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// copyFile shares the blocks of a file where the file system can, and copies them where not: on Linux, io.Copy between
// files is copy_file_range.
func copyFile(from, to string, perm fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) != nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Chmod(perm)
	}
	return errors.Join(err, out.Close())
}
