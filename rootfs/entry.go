package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"mmbox/models"
	"mmbox/rootfs/closure"
)

// defaultPath is where a command without a slash is looked for when the entrypoint sets no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// CheckEntrypoints says what a root lacks to run a model: the programs of its entrypoints, their interpreters and
// libraries, those of shared libraries among the model's files, working directories. It executes nothing.
func (t *Trees) CheckEntrypoints(root models.Digest, m *models.Manifest) error {
	w := closure.New(t.Root(root))
	w.AsInside()
	for _, e := range []struct {
		name string
		*models.Entrypoint
	}{{"infer", m.Run.Infer}, {"serve", m.Run.Serve}} {
		if e.Entrypoint == nil {
			continue
		}
		if err := entrypoint(w, e.Entrypoint, m.Files); err != nil {
			return fmt.Errorf("run.%s: %w%s", e.name, err, t.elsewhere(root, err, e.Args[0]))
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
	p, real, err := command(w, e)
	if err != nil {
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
	return w.Program(p)
}

// command finds the program of an entrypoint, as execvp would.
func command(w *closure.Walk, e *models.Entrypoint) (p, real string, err error) {
	arg := e.Args[0]
	candidates := []string{path.Join("/", e.Dir, arg)}
	if path.IsAbs(arg) {
		candidates = []string{path.Clean(arg)}
	} else if !strings.Contains(arg, "/") {
		list := defaultPath
		if own, ok := e.Env["PATH"]; ok {
			list = own
		}
		candidates = nil
		for _, dir := range strings.Split(list, ":") {
			candidates = append(candidates, path.Join("/", dir, arg))
		}
	}
	for _, p := range candidates {
		real, _, err := w.Resolve(p)
		if err == nil {
			return p, real, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
	}
	return "", "", &noCommand{arg: arg, tried: candidates}
}

// noCommand is the error for a program that is not in the root.
type noCommand struct {
	arg   string
	tried []string
}

func (e *noCommand) Error() string {
	return fmt.Sprintf("args[0] %q: not found in the root (looked for %s)", e.arg, strings.Join(e.tried, ", "))
}

// elsewhere names a file of the root that has the name of a command that was not found.
func (t *Trees) elsewhere(root models.Digest, err error, arg string) string {
	var missing *noCommand
	if !errors.As(err, &missing) {
		return ""
	}
	l, err := t.Listing(root)
	if err != nil {
		return ""
	}
	for _, e := range l.Entries {
		if e.Kind != Dir && path.Base(e.Path) == path.Base(arg) {
			return fmt.Sprintf(": did you mean %q?", e.Path)
		}
	}
	return ": add the layer that holds it"
}
