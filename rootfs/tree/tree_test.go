package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

func newTrees(t testing.TB) *Store {
	t.Helper()
	trees, err := Open(filepath.Join(t.TempDir(), "trees"))
	if err != nil {
		t.Fatal(err)
	}
	return trees
}

// A put is a step in making a tree.
type put func(*Stage) error

func file(name, content string) put {
	return func(s *Stage) error { return s.File("/"+name, false, int64(len(content)), strings.NewReader(content)) }
}

func link(name, target string) put {
	return func(s *Stage) error { return s.Symlink("/"+name, target) }
}

func dir(name string) put {
	return func(s *Stage) error { return s.Mkdir("/" + name) }
}

func build(t testing.TB, trees *Store, puts ...put) models.Digest {
	t.Helper()
	s, err := trees.NewStage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for _, p := range puts {
		if err := p(s); err != nil {
			t.Fatal(err)
		}
	}
	d, err := s.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// text gives what a tree holds, one line an entry.
func text(t testing.TB, trees *Store, d models.Digest) string {
	t.Helper()
	l, err := trees.Listing(d)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range l.Entries {
		switch e.Kind {
		case Dir:
			fmt.Fprintf(&b, "%s/\n", e.Path)
		case Link:
			fmt.Fprintf(&b, "%s -> %s\n", e.Path, e.Target)
		case File:
			data, err := os.ReadFile(filepath.Join(trees.Root(d), e.Path))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s %.20q\n", e.Path, e.Mode, data)
		}
	}
	return b.String()
}

func inode(t *testing.T, p string) [2]uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{st.Dev, st.Ino}
}

// TestPackages: a tree lists the packages that it has something of.
func TestPackages(t *testing.T) {
	trees := newTrees(t)
	from := func(name string, puts ...put) put {
		return func(s *Stage) error {
			s.BeginPackage(Package{Name: name, Version: "1"})
			defer s.EndPackage()
			for _, p := range puts {
				if err := p(s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	d := build(t, trees, from("pruned", file("gone", "x")), from("used", file("d/f", "x")), from("empty", dir("d/e")), link("l", "d/f"),
		func(s *Stage) error {
			return s.Retain(map[string]bool{"/d": true, "/d/f": true, "/d/e": true, "/l": true})
		})
	low := build(t, trees, from("low", file("d/f", "y")))
	root, err := trees.Merge(t.Context(), []models.Digest{low, d, d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[models.Digest]string{d: "[{used 1 }]", root: "[{low 1 } {used 1 }]"} {
		l, err := trees.Listing(d)
		if got := fmt.Sprint(l.Packages); err != nil || got != want {
			t.Errorf("packages %s, %v, want %s", got, err, want)
		}
	}
}
