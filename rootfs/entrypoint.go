package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"mmbox/models"
	"mmbox/rootfs/closure"
	"mmbox/rootfs/tree"
)

// CheckEntrypoints says what a root lacks to run a model: the programs of its entrypoints, their interpreters and
// libraries, those of shared libraries among the model's files, working directories. It executes nothing.
func CheckEntrypoints(trees *tree.Store, root models.Digest, m *models.Manifest) error {
	w := closure.New(trees.Root(root))
	w.AsInside()
	for _, e := range []struct {
		name string
		*models.Entrypoint
	}{{"infer", m.Run.Infer}, {"serve", m.Run.Serve}} {
		if e.Entrypoint == nil {
			continue
		}
		if err := entrypoint(w, e.Entrypoint, m.Files); err != nil {
			return fmt.Errorf("run.%s: %w%s", e.name, err, elsewhere(trees, root, err, e.Args[0]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(m.Files)) {
		real, _, err := w.Resolve(p)
		if err != nil {
			return fmt.Errorf("file %q: %w", p, err)
		}
		if _, err := w.ReadELF(real); err == nil {
			if err := w.Program(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func entrypoint(w *closure.Walk, e *models.Entrypoint, files map[string]models.File) error {
	if dir := path.Clean("/" + e.Dir); dir != "/" {
		real, _, err := w.Resolve(dir)
		if err != nil {
			return fmt.Errorf("dir %q: no such directory in the root", e.Dir)
		}
		if info, err := w.Lstat(real); err != nil || !info.IsDir() {
			return fmt.Errorf("dir %q: not a directory", e.Dir)
		}
	}
	p := path.Clean(e.Args[0]) // absolute, in a valid manifest
	real, _, err := w.Resolve(p)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("args[0] %q: %w", p, errNoProgram)
	} else if err != nil {
		return err
	}
	info, err := w.Lstat(real)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("args[0] %q: %q is not a file", e.Args[0], real)
	case info.Mode()&0o111 == 0:
		if _, named := files[p]; named {
			return fmt.Errorf("args[0] %q: not executable, as all of files are data: bring programs in by a layer of rootfs, such as dir", e.Args[0])
		}
		return fmt.Errorf("args[0] %q: %q is not executable: chmod +x it in its layer", e.Args[0], real)
	}
	if err := startable(w, real); err != nil {
		return fmt.Errorf("args[0] %q: %w", e.Args[0], err)
	}
	return w.Program(p)
}

// startable refuses a file that execve(2) would: one that is neither an ELF file nor a script.
func startable(w *closure.Walk, real string) error {
	if _, err := w.ReadELF(real); !errors.Is(err, closure.ErrNotELF) {
		return nil // Program says what is wrong with an ELF file
	}
	file, err := os.Open(w.On(real))
	if err != nil {
		return err
	}
	defer file.Close()
	head := make([]byte, 2)
	if _, err := io.ReadFull(file, head); err != nil || string(head) != "#!" {
		return errors.New("neither an ELF program nor a script that begins with #!: the kernel cannot execute it")
	}
	return nil
}

var errNoProgram = errors.New("not found in the root")

// elsewhere names a file of the root that has the name of a program that was not found.
func elsewhere(trees *tree.Store, root models.Digest, err error, arg string) string {
	if !errors.Is(err, errNoProgram) {
		return ""
	}
	l, err := trees.Listing(root)
	if err != nil {
		return ""
	}
	for _, e := range l.Entries {
		if e.Kind != tree.Dir && path.Base(e.Path) == path.Base(arg) {
			return fmt.Sprintf(": did you mean %q?", e.Path)
		}
	}
	return ": add the layer that holds it"
}
