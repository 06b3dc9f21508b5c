package tree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmbox/models"
)

func TestVerifyAndSweep(t *testing.T) {
	trees := newTrees(t)
	a := build(t, trees, file("d/f", strings.Repeat("x", 10000)), file("g", "1"), link("l", "g"))
	b := build(t, trees, file("only", "b"))
	f := filepath.Join(trees.Root(a), "d/f")
	damage := func(what, want string, do, undo func() error) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if err := trees.VerifyTree(t.Context(), a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", what, err, want)
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if err := trees.VerifyTree(t.Context(), a); err != nil {
			t.Errorf("%s undone: %v", what, err)
		}
	}
	write := func(p, s string) func() error { return func() error { return os.WriteFile(p, []byte(s), 0o444) } }
	remove := func(p string) func() error { return func() error { return os.Remove(p) } }
	damage("content", `"/d/f" has digest`, write(f, strings.Repeat("x", 9999)+"y"), write(f, strings.Repeat("x", 10000)))
	damage("mode", `"/d/f" has mode 0644`, func() error { return os.Chmod(f, 0o644) }, func() error { return os.Chmod(f, 0o444) })
	damage("owner", `owner 1000:1000`, func() error { return os.Chown(f, 1000, 1000) }, func() error { return os.Chown(f, 0, 0) })
	damage("extra", `"/more" is not in the listing`, write(filepath.Join(trees.Root(a), "more"), ""), remove(filepath.Join(trees.Root(a), "more")))
	damage("missing", `"/g" is missing`, remove(filepath.Join(trees.Root(a), "g")), write(filepath.Join(trees.Root(a), "g"), "1"))
	l := filepath.Join(trees.Root(a), "l")
	damage("link", `"/l" links to "x"`, func() error { return errors.Join(os.Remove(l), os.Symlink("x", l)) }, func() error { return errors.Join(os.Remove(l), os.Symlink("g", l)) })

	s, err := trees.NewStage(t.Context()) // a build under way
	if err != nil {
		t.Fatal(err)
	}
	dead, lease, err := trees.newTemp() // one that was killed
	if err != nil {
		t.Fatal(err)
	}
	lease.Close()
	junk, err := trees.Sweep(map[models.Digest]bool{b: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(junk) != 2 || junk[0].Tree != a || junk[0].Size < 10000 || junk[1].Path != dead {
		t.Errorf("swept %+v", junk)
	}
	if trees.Has(a) || !trees.Has(b) {
		t.Error("swept the wrong tree")
	}
	if err := s.File("/x", false, 1, strings.NewReader("x")); err != nil {
		t.Errorf("the build under way: %v", err)
	}
	if d, err := s.Commit(); err != nil || !trees.Has(d) {
		t.Errorf("the build under way: %v", err)
	}
	if err := s.Discard(); err != nil {
		t.Error(err)
	}
}
