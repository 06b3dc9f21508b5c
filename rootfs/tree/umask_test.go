package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUmask: a tree is readable for all even when its maker's files are not.
func TestUmask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	trees := newTrees(t)
	for _, dir := range []string{trees.dir, filepath.Join(trees.dir, "sha256")} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	d := build(t, trees, file("d/f", "x"))
	if got := text(t, trees, d); !strings.Contains(got, "/d/f 0444") {
		t.Error(got)
	}
	if err := trees.VerifyTree(t.Context(), d); err != nil { // compares modes on disk
		t.Error(err)
	}
}
