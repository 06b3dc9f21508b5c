package rootfs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

func mustTar(t *testing.T, trees *Trees, data []byte) models.Digest {
	t.Helper()
	d, err := buildTar(t, trees, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMerge(t *testing.T) {
	trees := newTrees(t)
	low := mustTar(t, trees, archive(t, file("usr/a", "low"), file("usr/b", "low"), link("lib", "usr/lib"), file("c", "low"), link("l", "a")))
	high := mustTar(t, trees, archive(t, file("usr/a", "high"), link("c", "usr/a"), file("l", "high"), file("etc/hosts", "mine\n")))
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

func inode(t *testing.T, p string) [2]uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{st.Dev, st.Ino}
}

func TestMergeRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		low, high []byte
		file      string
		want      string
	}{
		"directory over file": {archive(t, file("a", "")), archive(t, dir("a")), "", `"/a" is a file in layer 1 and a dir in layer 2`},
		"file over directory": {archive(t, dir("a")), archive(t, file("a", "")), "", `"/a" is a dir in layer 1 and a file in layer 2`},
		"directory over link": {archive(t, link("a", "b")), archive(t, dir("a")), "", `"/a" is a link in layer 1 and a dir in layer 2`},
		"proc is a link":      {archive(t), archive(t, link("proc", "/")), "", `"/proc" is a link`},
		"dev is a link":       {archive(t, link("dev", "tmp")), archive(t), "", `"/dev" is a link`},
		"tmp is a file":       {archive(t, file("tmp", "")), archive(t), "", `"/tmp" is a file`},
		"sys is a link":       {archive(t, link("sys", "x")), archive(t), "", `"/sys" is a link`},
		"file on a directory": {archive(t, dir("m/w")), archive(t), "/m/w", "a layer has a directory there"},
		"file below a file":   {archive(t, file("m", "")), archive(t), "/m/w", `"/m" is not a directory`},
		"file below a circle": {archive(t, link("m", "m")), archive(t), "/m/w", `"/m" is not a directory`},
	} {
		t.Run(name, func(t *testing.T) {
			trees := newTrees(t)
			layers := []models.Digest{mustTar(t, trees, tc.low), mustTar(t, trees, tc.high)}
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
	s, err := trees.newStage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.discard()
	e := Entry{Kind: File, Mode: "0555", Size: 1, SHA256: models.DigestOf([]byte("x"))}
	from := filepath.Join("/dev/shm", filepath.Base(s.dir))
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(from)
	if err := s.adopt("/a", from, e); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(s.rootDir(), "a")); err != nil || info.Mode() != 0o555 {
		t.Errorf("%v, %v", info, err)
	}
	e.SHA256 = models.DigestOf([]byte("y"))
	if err := s.adopt("/b", from, e); err == nil || !strings.Contains(err.Error(), "instead of") {
		t.Errorf("error %v", err)
	}
}

func TestBuildDir(t *testing.T) {
	base := t.TempDir()
	mk := func(p, content string, mode os.FileMode) {
		t.Helper()
		p = filepath.Join(base, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	mk("d/bin/run", "#!/bin/sh\n", 0o700)
	mk("d/data", "1", 0o600)
	if err := os.Symlink("../data", filepath.Join(base, "d/bin/l")); err != nil {
		t.Fatal(err)
	}
	trees := newTrees(t)
	build := func(l models.Layer) (models.Digest, error) { return trees.Build(context.Background(), l, base) }
	d, err := build(models.Layer{Dir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	want := "/bin/\n/bin/l -> ../data\n/bin/run 0555 \"#!/bin/sh\\n\"\n/data 0444 \"1\"\n"
	if got := text(t, trees, d); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if d2, err := build(models.Layer{Dir: "d", Keep: []string{"/bin/l"}}); err != nil {
		t.Error(err)
	} else if got := text(t, trees, d2); got != "/bin/\n/bin/l -> ../data\n/data 0444 \"1\"\n" {
		t.Errorf("kept\n%s", got)
	}
	mk("d/bin/su", "", 0o4755|os.ModeSetuid)
	if _, err := build(models.Layer{Dir: "d"}); err == nil || !strings.Contains(err.Error(), "bin/su\": set-user-ID") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(filepath.Join(base, "d/bin/su")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(base, "d/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := build(models.Layer{Dir: "d"}); err == nil || !strings.Contains(err.Error(), "no devices, fifos or sockets") {
		t.Errorf("error %v", err)
	}
	for _, l := range []models.Layer{{OCI: "x"}, {Image: "x"}} {
		if _, err := build(l); err == nil || !strings.Contains(err.Error(), "not supported yet") {
			t.Errorf("%v: error %v", l, err)
		}
	}
	if _, err := build(models.Layer{Dir: "none"}); err == nil {
		t.Error("built from nothing")
	}
}

// TestBuildNotices: a layer whose files changed is built anew, whatever their sizes and modification times say.
func TestBuildNotices(t *testing.T) {
	base := t.TempDir()
	p := filepath.Join(base, "d/f")
	if err := os.Mkdir(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	trees := newTrees(t)
	past := time.Now().Add(-time.Hour)
	build := func() models.Digest {
		t.Helper()
		d, err := trees.Build(t.Context(), models.Layer{Dir: "d"}, base)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	seen := map[models.Digest]string{}
	for _, content := range []string{"aaa", "bbb", "ccc"} {
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, past, past); err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // at once, so that stamps are too young; then old enough to be remembered
			d := build()
			if was, ok := seen[d]; ok && was != content {
				t.Fatalf("tree of %q given for %q", was, content)
			}
			seen[d] = content
			if i == 1 {
				time.Sleep(2 * granularity)
			}
		}
	}
	if remembered, _ := filepath.Glob(filepath.Join(trees.dir, "sources/*")); len(remembered) != 1 {
		t.Errorf("remembered %v", remembered)
	}
}

func TestVerifyAndSweep(t *testing.T) {
	trees := newTrees(t)
	a := mustTar(t, trees, archive(t, file("d/f", strings.Repeat("x", 10000)), file("g", "1"), link("l", "g")))
	b := mustTar(t, trees, archive(t, file("only", "b")))
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
	damage("link", `"/l" links to "x"`, func() error { return errorsJoin(os.Remove(l), os.Symlink("x", l)) }, func() error { return errorsJoin(os.Remove(l), os.Symlink("g", l)) })

	s, err := trees.newStage(t.Context()) // a build under way
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
	if err := s.file("/x", false, 1, strings.NewReader("x")); err != nil {
		t.Errorf("the build under way: %v", err)
	}
	if d, err := s.commit(); err != nil || !trees.Has(d) {
		t.Errorf("the build under way: %v", err)
	}
	if err := s.discard(); err != nil {
		t.Error(err)
	}
}
