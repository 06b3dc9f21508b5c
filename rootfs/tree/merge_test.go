package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmbox/models"
)

func TestMerge(t *testing.T) {
	trees := newTrees(t)
	low := build(t, trees, file("usr/a", "low"), file("usr/b", "low"), link("lib", "usr/lib"), file("c", "low"), link("l", "a"))
	high := build(t, trees, file("usr/a", "high"), link("c", "usr/a"), file("l", "high"), file("etc/hosts", "mine\n"))
	blob := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(blob, []byte("weights"), 0o444); err != nil {
		t.Fatal(err)
	}
	files := map[string]Named{"/lib/w": {models.Blob{Digest: models.DigestOf([]byte("weights")), Size: 7}, blob}}
	root, err := trees.Merge(t.Context(), []models.Digest{low, high}, files)
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, trees, root)
	for _, line := range []string{
		"/c -> usr/a", "/dev/", "/etc/group 0444", "/etc/hosts 0444 \"mine\\n\"", "/etc/passwd 0444", "/l 0444 \"high\"", "/lib -> usr/lib",
		"/proc/", "/run/", "/tmp/", "/usr/a 0444 \"high\"", "/usr/b 0444 \"low\"", "/usr/lib/w 0444 \"weights\"",
	} {
		if !strings.Contains("\n"+got, "\n"+line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if a, b := inode(t, blob), inode(t, filepath.Join(trees.Root(root), "usr/lib/w")); a != b {
		t.Errorf("the blob is copied: %v, %v", a, b)
	}
	if err := trees.VerifyTree(t.Context(), root); err != nil {
		t.Error(err)
	}
	again, err := trees.Merge(t.Context(), []models.Digest{low, high}, files)
	if err != nil || again != root {
		t.Errorf("merged again: %s instead of %s, %v", again, root, err)
	}
}

func TestMergeRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		low, high []put
		file      string
		want      string
	}{
		"directory over file": {[]put{file("a", "")}, []put{dir("a")}, "", `"/a" is a file in layer 1 and a dir in layer 2`},
		"file over directory": {[]put{dir("a")}, []put{file("a", "")}, "", `"/a" is a dir in layer 1 and a file in layer 2`},
		"directory over link": {[]put{link("a", "b")}, []put{dir("a")}, "", `"/a" is a link in layer 1 and a dir in layer 2`},
		"proc is a link":      {nil, []put{link("proc", "/")}, "", `"/proc" is a link`},
		"dev is a link":       {[]put{link("dev", "tmp")}, nil, "", `"/dev" is a link`},
		"tmp is a file":       {[]put{file("tmp", "")}, nil, "", `"/tmp" is a file`},
		"sys is a link":       {[]put{link("sys", "x")}, nil, "", `"/sys" is a link`},
		"file on a directory": {[]put{dir("m/w")}, nil, "/m/w", "a layer has a directory there"},
		"file below a file":   {[]put{file("m", "")}, nil, "/m/w", `"/m" is not a directory`},
		"file below a circle": {[]put{link("m", "m")}, nil, "/m/w", `"/m" is not a directory`},
	} {
		t.Run(name, func(t *testing.T) {
			trees := newTrees(t)
			layers := []models.Digest{build(t, trees, tc.low...), build(t, trees, tc.high...)}
			files := map[string]Named{}
			if tc.file != "" {
				blob := filepath.Join(t.TempDir(), "blob")
				if err := os.WriteFile(blob, nil, 0o444); err != nil {
					t.Fatal(err)
				}
				files[tc.file] = Named{models.Blob{Digest: models.DigestOf(nil)}, blob}
			}
			_, err := trees.Merge(t.Context(), layers, files)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %s", err, tc.want)
			}
			if left, _ := filepath.Glob(filepath.Join(trees.dir, "tmp-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestCopyIn: another file system gets a copy, and a copy that differs is noticed.
func TestCopyIn(t *testing.T) {
	trees := newTrees(t)
	s, err := trees.NewStage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	e := Entry{Kind: File, Mode: "0555", Size: 1, SHA256: models.DigestOf([]byte("x"))}
	from := filepath.Join("/dev/shm", filepath.Base(s.dir))
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(from)
	if err := s.adopt("/a", from, e); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(s.RootDir(), "a")); err != nil || info.Mode() != 0o555 {
		t.Errorf("%v, %v", info, err)
	}
	e.SHA256 = models.DigestOf([]byte("y"))
	if err := s.adopt("/b", from, e); err == nil || !strings.Contains(err.Error(), "instead of") {
		t.Errorf("error %v", err)
	}
}
