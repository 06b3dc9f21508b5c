package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mmbox/models"
	"mmbox/rootfs/origin"
)

// host makes a directory whose way from / is open to all, for files that stand for the host's.
func host(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "mmbox-host-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, p, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(p, []byte(content), mode), os.Chmod(p, mode)); err != nil {
		t.Fatal(err)
	}
}

// refused fails unless a layer is, with messages that have all of says, and without a trace in the store.
func refused(t *testing.T, layer models.Layer, base string, says ...string) {
	t.Helper()
	trees := newTrees(t)
	_, err := Builder{trees, DefaultLimits}.Build(t.Context(), layer, base)
	if err == nil {
		t.Errorf("%+v was built", layer)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%+v: error %v, want one with %q", layer, err, s)
		}
	}
	empty(t, trees)
}

// TestOriginInside: a manifest names only what lies in its own directory, whichever way it says so.
func TestOriginInside(t *testing.T) {
	secret, base := host(t), t.TempDir()
	put(t, secret+"/key", "secret", 0o600)
	put(t, secret+"/a.tar", string(archive(t, file("key", "secret"))), 0o600)
	put(t, base+"/real/key", "mine", 0o600)
	put(t, base+"/real/a.tar", string(archive(t, file("key", "mine"))), 0o600)
	for name, target := range map[string]string{
		"out": secret, "out.tar": secret + "/a.tar", "in": "real", "in.tar": filepath.Join(base, "real/a.tar"), "via": "in",
	} {
		if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	const says = "outside the manifest's directory: copy it there"
	up, err := filepath.Rel(base, secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{secret, up, "out", "./out/", "in/../../" + filepath.Base(base) + "/out"} {
		refused(t, models.Layer{Dir: dir}, base, says)
		refused(t, models.Layer{Dir: dir, Keep: []string{"/key"}}, base, says)
	}
	for _, tar := range []string{secret + "/a.tar", up + "/a.tar", "out.tar", "out/a.tar"} {
		refused(t, models.Layer{Tar: tar}, base, says)
	}
	trees := newTrees(t)
	for _, l := range []models.Layer{
		{Dir: "real", Keep: []string{"/key"}}, {Dir: "in", Keep: []string{"/key"}}, {Dir: "via", Keep: []string{"/key"}},
		{Tar: "real/a.tar"}, {Tar: "in.tar"}, {Tar: "via/a.tar"},
	} {
		d, err := Builder{trees, DefaultLimits}.Build(t.Context(), l, base)
		if err != nil {
			t.Error(err)
		} else if got := text(t, trees, d); got != "/key 0444 \"mine\"\n" {
			t.Errorf("%+v: got %s", l, got)
		}
	}
}

// TestOriginSwapped: a link that was turned elsewhere after the origin was found leads nowhere.
func TestOriginSwapped(t *testing.T) {
	secret, base := host(t), t.TempDir()
	put(t, secret+"/key", "secret", 0o600)
	put(t, base+"/d/key", "mine", 0o600)
	from, err := origin.Find(base, "d")
	if err != nil {
		t.Fatal(err)
	}
	file, err := origin.Find(base, "d/key")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := from.OpenDir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := errors.Join(os.RemoveAll(base+"/d/key"), os.Symlink(secret+"/key", base+"/d/key")); err != nil {
		t.Fatal(err)
	}
	if f, _, err := dir.Open("/key"); err == nil {
		f.Close()
		t.Error("a file that became a link was followed")
	}
	if err := errors.Join(os.RemoveAll(base+"/d"), os.Symlink(secret, base+"/d")); err != nil {
		t.Fatal(err)
	}
	if dir, err := from.OpenDir(); err == nil {
		dir.Close()
		t.Error("a directory that became a link was followed")
	}
	if f, err := file.OpenFile(); err == nil {
		f.Close()
		t.Error("a path through a directory that became a link was followed")
	}
}

// TestOriginNotices: a layer whose link was turned is not the one that is remembered.
func TestOriginNotices(t *testing.T) {
	base, trees := t.TempDir(), newTrees(t)
	put(t, base+"/a/f", "a", 0o644)
	put(t, base+"/b/f", "b", 0o644)
	for _, target := range []string{"a", "b"} {
		if err := errors.Join(os.RemoveAll(base+"/l"), os.Symlink(target, base+"/l")); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first time too young to be remembered
			time.Sleep(2 * granularity)
			d, err := Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Dir: "l"}, base)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, trees, d); !strings.Contains(got, `"`+target+`"`) {
				t.Errorf("link to %s: %s", target, got)
			}
		}
	}
}

// TestClosurePublic: of the host's own files only those go into a root that everybody on the host may read.
func TestClosurePublic(t *testing.T) {
	dir := host(t)
	put(t, dir+"/key", "secret", 0o640)
	put(t, dir+"/all/data", "x", 0o644)
	put(t, dir+"/all/sub/key", "secret", 0o600)
	put(t, dir+"/closed/data", "x", 0o644)
	put(t, dir+"/unlisted/name-that-is-a-secret", "x", 0o644)
	put(t, dir+"/lib", "x", 0o644)
	if err := errors.Join(os.Chmod(dir+"/closed", 0o750), os.Chmod(dir+"/unlisted", 0o711),
		os.Symlink(dir+"/key", dir+"/link"), os.Symlink("closed", dir+"/way")); err != nil {
		t.Fatal(err)
	}
	const file, way = "a file that other users of this host may not read", "a directory that other users of this host may not look into"
	for p, says := range map[string][]string{
		"/key": {dir + `/key"`, file, "0640"}, "/link": {dir + `/key"`, file}, "/all": {dir + `/all/sub/key"`, file, "0600"},
		"/closed/data": {dir + `/closed"`, way, "0750"}, "/way/data": {dir + `/closed"`, way}, "/closed": {dir + `/closed"`, way},
		"/unlisted": {dir + `/unlisted"`, way, "0711"},
	} {
		refused(t, models.Layer{Closure: []string{dir + p}}, t.TempDir(), append(says, "copy what is meant for the model")...)
	}
	trees := newTrees(t)
	for _, p := range []string{"/all/data", "/lib", "/unlisted/name-that-is-a-secret"} {
		if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Closure: []string{dir + p}}, "")); err != nil {
			t.Error(err)
		}
	}
	// What is remembered is forgotten when the host's file is closed to others.
	layer := models.Layer{Closure: []string{dir + "/lib"}}
	time.Sleep(2 * granularity)
	if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), layer, "")); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir+"/lib", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), layer, "")); err == nil {
		t.Error("a file that was closed to others was given from memory")
	}
}
