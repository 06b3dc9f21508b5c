package runtime

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a kill at a bad moment leaves is found by Sweep, and what lives is not touched.
func TestSweep(t *testing.T) {
	b := newBench(t)
	alive := b.create("alive", "/bin/sh")
	lost := b.create("lost", "/bin/sh")
	if err := lost.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := b.create("damaged", "/bin/sh")
	if err := os.WriteFile(filepath.Join(damaged.path(), "record.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := damaged.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.dir.path("half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if list, err := b.dir.List(); len(list) != 2 || err == nil || !strings.Contains(err.Error(), `"damaged"`) {
		t.Errorf("list gave %d sandboxes, %v", len(list), err)
	}
	want := map[string]string{
		"lost":                "recorded as lost: its supervisor was killed",
		b.dir.path("damaged"): "removed: its record cannot be read",
		b.dir.path("half"):    "removed: it has no record",
	}
	for _, dry := range []bool{true, false} {
		repairs, err := b.dir.Sweep(context.Background(), dry)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, r := range repairs {
			if want[r.Name] == r.Done {
				found++
			} else if r.Kind != "users" {
				t.Errorf("dry %t: %+v", dry, r)
			}
		}
		if found != len(want) {
			t.Errorf("dry %t: found %v", dry, repairs)
		}
	}
	if status, err := alive.Status(); status != Creating || err != nil {
		t.Errorf("the living one is %v, %v", status, err)
	}
	if err := alive.Abandon(); err != nil {
		t.Error(err)
	}
	s, err := b.dir.Open("lost")
	if err != nil || s.End == nil || !s.End.Lost {
		t.Fatalf("lost: %+v, %v", s, err)
	}
	b.delete(s)
}

// A state directory has one name, whichever way leads to it.
func TestOpenDirFollowsLinks(t *testing.T) {
	b := newBench(t)
	s := b.create("test", "/bin/sh")
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(filepath.Dir(b.dir.root), alias); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(alias, "state"), filepath.Join(alias, "none/yet")} {
		d, err := OpenDir(path)
		if want := filepath.Join(filepath.Dir(b.dir.root), strings.TrimPrefix(path, alias)); err != nil || d.root != want {
			t.Errorf("%s: %s, %v; want %s", path, d.root, err, want)
		}
	}
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
}
