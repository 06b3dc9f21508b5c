package examples

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mmbox/models"
)

// A tree is a root file system: the path of its directory.
type tree string

func (r tree) at(path string) string { return filepath.Join(string(r), path) }

// merged are the directories that are links into /usr in a tree of Debian packages.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// assemble makes a root of what a manifest names. It is no product code on purpose: the loader itself, not a walk of
// ours, says which libraries a program needs, so the two check each other.
func assemble(t *testing.T, folder string, m *models.Manifest) tree {
	t.Helper()
	root := tree(t.TempDir())
	for _, dir := range merged {
		must(t, os.MkdirAll(root.at("usr/"+dir), 0o755))
		must(t, os.Symlink("usr/"+dir, root.at(dir)))
	}
	for _, layer := range m.RootFS {
		switch {
		case layer.Debs != nil:
			from := unpack(t, debsOf(folder))
			for _, path := range layer.Keep {
				root.keep(t, from, path)
			}
		case layer.Closure != nil:
			for _, path := range layer.Closure {
				root.keep(t, "/", path)
			}
		case layer.Dir != "":
			command(t, "cp", "-a", filepath.Join(folder, layer.Dir)+"/.", string(root))
		default:
			t.Fatalf("layer %+v: no example has such a one", layer)
		}
	}
	for path, file := range m.Files {
		copyFile(t, filepath.Join(folder, file.Source), root.at(path))
	}
	command(t, "chmod", "-R", "a+rX", string(root))
	return root
}

// describe counts what a tree holds.
func (r tree) describe(t *testing.T) string {
	t.Helper()
	files, libraries, bytes := 0, 0, int64(0)
	must(t, filepath.WalkDir(string(r), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files, bytes = files+1, bytes+info.Size()
		if strings.Contains(entry.Name(), ".so") {
			libraries++
		}
		return nil
	}))
	return fmt.Sprintf("%d files, %d of them libraries, %d bytes", files, libraries, bytes)
}

// unpack gives the tree of the Debian packages in a directory, without their scripts.
func unpack(t *testing.T, debs string) tree {
	t.Helper()
	packages, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	must(t, err)
	full := tree(t.TempDir())
	for _, deb := range packages {
		command(t, "dpkg-deb", "-x", deb, string(full))
	}
	for _, dir := range merged {
		must(t, os.MkdirAll(full.at("usr/"+dir), 0o755))
		if _, err := os.Lstat(full.at(dir)); err == nil {
			command(t, "cp", "-a", full.at(dir)+"/.", full.at("usr/"+dir))
			must(t, os.RemoveAll(full.at(dir)))
		}
		must(t, os.Symlink("usr/"+dir, full.at(dir)))
	}
	return full
}

// keep copies a path, and what the loader says it needs if it is a program or a library.
func (r tree) keep(t *testing.T, from tree, path string) {
	t.Helper()
	r.copy(t, from, path)
	content, err := os.ReadFile(from.at(path))
	must(t, err)
	if !strings.HasPrefix(string(content), "\x7fELF") || strings.HasPrefix(filepath.Base(path), "ld-linux") {
		return
	}
	loaders, err := filepath.Glob(from.at("lib*/ld-linux*.so.*"))
	if err != nil || len(loaders) == 0 {
		t.Fatalf("%s: no loader: %v", from, err)
	}
	loader := "/" + strings.TrimPrefix(strings.TrimPrefix(loaders[0], string(from)), "/")
	for _, field := range strings.Fields(command(t, "chroot", string(from), loader, "--list", path)) {
		if strings.HasPrefix(field, "/") {
			r.copy(t, from, strings.TrimSuffix(field, ":"))
		}
	}
}

// copy copies a file, and a link with what it points to.
func (r tree) copy(t *testing.T, from tree, path string) {
	t.Helper()
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	for _, dir := range merged {
		if first == dir {
			path = filepath.Join("/usr", first, rest)
		}
	}
	target, err := os.Readlink(from.at(path))
	if err != nil {
		copyFile(t, from.at(path), r.at(path))
		return
	}
	must(t, os.MkdirAll(filepath.Dir(r.at(path)), 0o755))
	if err := os.Symlink(target, r.at(path)); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	r.copy(t, from, target)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	command(t, "cp", "-p", from, to)
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
