package rootfs

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestWriteBundle(t *testing.T) {
	trees := newTrees(t)
	d := mustTar(t, trees, archive(t, file("d/f", "x"), file("e", "y"), link("l", "d/f")))
	spec := &specs.Spec{Version: "1.2.0", Root: &specs.Root{Path: trees.Root(d), Readonly: true}, Hostname: "m"}
	dest := filepath.Join(t.TempDir(), "bundle")
	b, err := WriteBundle(dest, spec, trees.Root(d))
	if err != nil {
		t.Fatal(err)
	}
	if b.Dir != dest || b.Root != dest+"/rootfs" || spec.Root.Path != trees.Root(d) {
		t.Errorf("%+v, %+v", b, spec.Root)
	}
	var got specs.Spec
	data, err := os.ReadFile(b.Config)
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil || got.Root.Path != "rootfs" || !got.Root.Readonly || got.Hostname != "m" {
		t.Errorf("config %s, %v", data, err)
	}
	if a, c := inode(t, filepath.Join(trees.Root(d), "d/f")), inode(t, filepath.Join(b.Root, "d/f")); a == c {
		t.Error("the bundle shares a file with the store")
	}
	if err := os.WriteFile(filepath.Join(b.Root, "d/f"), []byte("changed"), 0o644); err != nil {
		t.Error(err)
	}
	if err := trees.VerifyTree(t.Context(), d); err != nil {
		t.Errorf("writing to the bundle changed the store: %v", err)
	}
	if target, err := os.Readlink(filepath.Join(b.Root, "l")); err != nil || target != "d/f" {
		t.Errorf("link to %q, %v", target, err)
	}
	if _, err := WriteBundle(dest, spec, trees.Root(d)); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("again: %v", err)
	}
	if _, err := os.Stat(b.Config); err != nil {
		t.Errorf("the refusal took away what was there: %v", err)
	}
}

func inode(t *testing.T, p string) [2]uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{st.Dev, st.Ino}
}

func TestWriteBundleFails(t *testing.T) {
	spec := &specs.Spec{Root: &specs.Root{}}
	for name, tc := range map[string]struct {
		spec   *specs.Spec
		exists bool
	}{
		"no root": {&specs.Spec{}, false}, "no tree": {spec, false}, "no tree, directory exists": {spec, true},
	} {
		dest := filepath.Join(t.TempDir(), "bundle")
		if tc.exists {
			if err := os.Mkdir(dest, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := WriteBundle(dest, tc.spec, filepath.Join(t.TempDir(), "none")); err == nil || b != nil {
			t.Errorf("%s: %v, %v", name, b, err)
		}
		entries, err := os.ReadDir(dest)
		if exists := !errors.Is(err, fs.ErrNotExist); exists != tc.exists || len(entries) > 0 {
			t.Errorf("%s: left %v, %v", name, entries, err)
		}
	}
}
