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
	build := func(l models.Layer) (models.Digest, error) {
		return Builder{trees, DefaultLimits}.Build(context.Background(), l, base)
	}
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
		d, err := Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Dir: "d"}, base)
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
	if remembered, _ := filepath.Glob(filepath.Join(trees.SourcesDir(), "*")); len(remembered) != 1 {
		t.Errorf("remembered %v", remembered)
	}
}
