package cgroups

import (
	"os"
	"path/filepath"
	"testing"
)

// Freezing is dear on version 1, and most groups are empty when they are killed.
func TestKillLeavesAnEmptyGroupUnfrozen(t *testing.T) {
	root := tree(t, v1)
	g := group(t, detect(t, root), "/mmbox/empty")
	dir := filepath.Join(string(root), "freezer", "mmbox", "empty")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "freezer.state")
	for name, text := range map[string]string{"cgroup.procs": "", "freezer.state": "as it was"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if dirs := g.dirs(); len(dirs) != 1 {
		t.Fatalf("the group is in %v; want it in the freezer's hierarchy", dirs)
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(state); err != nil || string(text) != "as it was" {
		t.Errorf("freezer.state holds %q, %v; want it untouched", text, err)
	}
}
