package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put stores a blob and a model that has it as its only file. What goes wrong is an error, for children of the tests too.
func put(s *Store, name, version, content string) (*Model, error) {
	blob, err := s.PutBlob(strings.NewReader(content), "")
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(minimal("files: {/models/w: {source: w}}\n"), "tiny", name)
	text = strings.Replace(text, "version: 1.0.0", fmt.Sprintf("version: %q", version), 1)
	manifest, err := Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	m := &Model{
		Manifest: *manifest, Layers: []Digest{DigestOf([]byte("layer"))}, Root: DigestOf([]byte("root of " + name)),
		Files: map[string]Blob{"/models/w": blob}, Source: "a test", Installed: time.Unix(1, 0).UTC(),
	}
	if m.Digest, err = ModelDigest(m.Manifest, m.Layers, m.Files, m.Golden); err != nil {
		return nil, err
	}
	return m, s.Add(m, []byte(text))
}

func mustPut(t *testing.T, s *Store, name, version, content string) *Model {
	t.Helper()
	m, err := put(s, name, version, content)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantError holds an error against a sentinel, where there is one, and against the text behind its first words.
func wantError(t *testing.T, err, sentinel error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v %q", sentinel, parts)
	}
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("%v is not %v", err, sentinel)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

// tree lists what is below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAbsentStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := openStore(t, dir)
	if all, err := s.List(); err != nil || all != nil {
		t.Errorf("List: %v, %v", all, err)
	}
	_, err := s.Find("tiny")
	wantError(t, err, ErrNotFound, `open model "tiny": no such model; none is installed, mmbox install DIR installs one`)
	wantError(t, s.Remove("tiny", "1.0.0"), ErrNotFound, `remove model "tiny@1.0.0"`)
	if g, err := s.Sweep(); err != nil || g.Size() != 0 {
		t.Errorf("Sweep: %v, %v", g, err)
	}
	if trees, err := s.Trees(); err != nil || trees != nil {
		t.Errorf("Trees: %v, %v", trees, err)
	}
	unlock, err := s.RLock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made %s: %v", filepath.Dir(dir), err)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(file)
	wantError(t, err, syscall.ENOTDIR, "open store", "; choose a directory with --root")
}

func TestPutBlob(t *testing.T) {
	old := syscall.Umask(0o077) // modes must not depend on it
	defer syscall.Umask(old)
	s := openStore(t, filepath.Join(t.TempDir(), "store"))
	want := DigestOf([]byte("weights"))
	blob, err := s.PutBlob(strings.NewReader("weights"), want)
	if err != nil || blob != (Blob{want, 7}) {
		t.Fatalf("got %v, %v", blob, err)
	}
	for path, mode := range map[string]fs.FileMode{s.BlobPath(want): 0o444, filepath.Dir(s.BlobPath(want)): 0o755 | fs.ModeDir, s.Dir(): 0o755 | fs.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	if got, err := s.Blob(want); err != nil || got != blob {
		t.Errorf("Blob: %v, %v", got, err)
	}
	if DigestFromHex(want.Hex()) != want || DigestFromHex("") != "" {
		t.Error("a digest does not survive its digits")
	}
	if got := s.TreesDir(); got != filepath.Join(s.Dir(), "trees") {
		t.Errorf("trees are at %s", got)
	}
	before := tree(t, s.Dir())

	other := DigestOf([]byte("other"))
	_, err = s.PutBlob(strings.NewReader("weighty"), other)
	wantError(t, err, nil, "put blob: wrong content: expected sha256 "+other.Hex(), "got "+DigestOf([]byte("weighty")).Hex())
	_, err = s.PutBlob(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), "")
	wantError(t, err, io.ErrUnexpectedEOF, "put blob: read content: ")
	_, err = s.PutBlob(strings.NewReader("x"), "sha256:../../x")
	wantError(t, err, nil, `digest "sha256:../../x": not sha256: and 64 hexadecimal digits`)
	_, err = s.Blob(other)
	wantError(t, err, fs.ErrNotExist)
	if after := tree(t, s.Dir()); !reflect.DeepEqual(before, after) {
		t.Errorf("refused content left something behind: %v, was %v", after, before)
	}
}

func TestPutBlobKeepsTheFileAndHealsADamagedOne(t *testing.T) {
	s := openStore(t, t.TempDir())
	blob, err := s.PutBlob(strings.NewReader("weights"), "")
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(s.BlobPath(blob.Digest))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.PutBlob(strings.NewReader("weights"), blob.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := os.Stat(s.BlobPath(blob.Digest)); err != nil || !os.SameFile(first, again) {
		t.Errorf("the file was replaced, which breaks the links that trees have to it: %v", err)
	}
	damage(t, s, blob.Digest)
	if _, err := s.PutBlob(strings.NewReader("weights"), blob.Digest); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(s.BlobPath(blob.Digest)); err != nil || string(content) != "weights" {
		t.Errorf("not healed: %q, %v", content, err)
	}
}

// damage changes a byte of a blob.
func damage(t *testing.T, s *Store, d Digest) {
	t.Helper()
	path := s.BlobPath(d)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[0] ^= 1
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o444); err != nil {
		t.Fatal(err)
	}
}

func TestAddFindListRemove(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store"))
	mustPut(t, s, "zeta", "1.0.0", "z")
	mustPut(t, s, "alpha", "1.10.0", "new")
	want := mustPut(t, s, "alpha", "1.9.0", "old")

	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, m := range all {
		refs = append(refs, m.Manifest.Name+"@"+m.Manifest.Version)
	}
	if order := []string{"alpha@1.9.0", "alpha@1.10.0", "zeta@1.0.0"}; !reflect.DeepEqual(refs, order) {
		t.Errorf("List: %v, want %v", refs, order)
	}
	if m, err := s.Find("alpha"); err != nil || m.Manifest.Version != "1.10.0" {
		t.Errorf("Find alpha: %+v, %v", m, err)
	}
	if m, err := s.Find("alpha@1.9.0"); err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("Find alpha@1.9.0: %+v, %v, want %+v", m, err, want)
	}
	for ref, hint := range map[string]string{
		"alhpa":       `open model "alhpa": no such model; did you mean "alpha"?`,
		"other":       `open model "other": no such model; mmbox models lists those installed`,
		"alpha@2.0.0": `open model "alpha@2.0.0": no such model; installed is 1.9.0, 1.10.0`,
	} {
		_, err := s.Find(ref)
		wantError(t, err, ErrNotFound, hint)
	}
	_, err = s.Find("../alpha")
	wantError(t, err, nil, `open model: name "../alpha": has a slash`)

	wantError(t, s.Add(want, []byte("other")), ErrExists, `add model "alpha@1.9.0": already installed; remove it first with mmbox remove alpha`)
	if m, err := s.Find("alpha@1.9.0"); err != nil || !reflect.DeepEqual(m, want) || len(s.Verify(m)) != 0 {
		t.Errorf("the installed model changed: %+v, %v, %v", m, err, s.Verify(m))
	}
	for _, version := range []string{"1.9.0", "1.10.0"} {
		if err := s.Remove("alpha", version); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, s.Remove("alpha", "1.9.0"), ErrNotFound)
	if names := tree(t, filepath.Join(s.Dir(), "models")); !reflect.DeepEqual(names, []string{".", "zeta", "zeta/1.0.0", "zeta/1.0.0/model.json", "zeta/1.0.0/model.yaml"}) {
		t.Errorf("left behind: %v", names)
	}
}

func TestAddRefuses(t *testing.T) {
	s := openStore(t, t.TempDir())
	good := *mustPut(t, s, "tiny", "1.0.0", "w")
	for want, change := range map[string]func(*Model){
		`name "../x"`:                  func(m *Model) { m.Manifest.Name = "../x" },
		`version ".."`:                 func(m *Model) { m.Manifest.Version = ".." },
		`digest "": not sha256`:        func(m *Model) { m.Root = "" },
		`digest "sha256:0": not`:       func(m *Model) { m.Layers = []Digest{"sha256:0"} },
		`is not in the store`:          func(m *Model) { m.Files = map[string]Blob{"/a": {DigestOf([]byte("gone")), 4}} },
		`of 99 bytes is not in`:        func(m *Model) { m.Golden = map[string]Blob{"a": {DigestOf([]byte("w")), 99}} },
		`digest "md5:x": not sha256: `: func(m *Model) { m.Golden = map[string]Blob{"a": {"md5:x", 1}} },
	} {
		m := good
		m.Manifest.Version = "2.0.0"
		change(&m)
		wantError(t, s.Add(&m, nil), nil, "add model ", want)
	}
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestDamagedModelHidesNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustPut(t, s, "alpha", "1.0.0", "a")
	mustPut(t, s, "beta", "1.0.0", "b")
	mustPut(t, s, "gamma", "1.0.0", "c")
	record := filepath.Join(s.Dir(), "models/beta/1.0.0/model.json")
	full, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"half":          string(full[:len(full)/2]),
		"empty":         "",
		"other model's": strings.ReplaceAll(string(full), `"beta"`, `"gamma"`),
		"bad digest":    strings.Replace(string(full), "sha256:", "sha256:../", 1),
	} {
		if err := os.WriteFile(record, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		all, err := s.List()
		wantError(t, err, ErrDamaged, `open model "beta@1.0.0": damaged: model.json: `, "; remove it with mmbox remove beta@1.0.0 and install it again")
		if len(all) != 2 {
			t.Errorf("%s: List shows %d of the 2 others", name, len(all))
		}
		_, err = s.Find("beta")
		wantError(t, err, ErrDamaged)
		if _, err = s.Garbage(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Garbage does not know what the damaged model names, yet says %v", name, err)
		}
		if _, err = s.Trees(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Trees says %v", name, err)
		}
	}
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	_, err = s.Find("beta@1.0.0")
	wantError(t, err, ErrDamaged)
	if err := s.Remove("beta", "1.0.0"); err != nil {
		t.Fatalf("a damaged model cannot be removed: %v", err)
	}
	if all, err := s.List(); err != nil || len(all) != 2 {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestVerify(t *testing.T) {
	s := openStore(t, t.TempDir())
	m := mustPut(t, s, "tiny", "1.0.0", "weights")
	if wrong := s.Verify(m); len(wrong) != 0 {
		t.Fatalf("a sound model: %v", wrong)
	}
	verify := func(parts ...string) {
		t.Helper()
		wrong := s.Verify(m)
		if len(wrong) != 1 {
			t.Fatalf("got %v, want one", wrong)
		}
		wantError(t, wrong[0], ErrDamaged, append(parts, `verify model "tiny@1.0.0": `)...)
	}
	blob := m.Files["/models/w"]
	damage(t, s, blob.Digest)
	verify(`file "/models/w": damaged: expected `+string(blob.Digest)+" (7 bytes), got ", string(DigestOf([]byte("veights"))))
	if err := os.Remove(s.BlobPath(blob.Digest)); err != nil {
		t.Fatal(err)
	}
	verify(`file "/models/w": damaged: blob ` + string(blob.Digest) + " is missing")
	if _, err := s.PutBlob(strings.NewReader("weights"), blob.Digest); err != nil {
		t.Fatal(err)
	}

	manifest := filepath.Join(s.Dir(), "models/tiny/1.0.0/model.yaml")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, append(text, "network: host\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	verify("model.yaml: damaged: it says something else than when it was installed")
	if err := os.WriteFile(manifest, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	verify("model.yaml: damaged: ")
	if err := os.WriteFile(manifest, text, 0o644); err != nil {
		t.Fatal(err)
	}
	m.Layers[0] = DigestOf([]byte("another layer"))
	verify("model.json: damaged: expected digest " + string(m.Digest))
}

func TestGarbage(t *testing.T) {
	s := openStore(t, t.TempDir())
	kept := mustPut(t, s, "kept", "1.0.0", "kept")
	mustPut(t, s, "gone", "1.0.0", "only gone's")
	mustPut(t, s, "gone", "2.0.0", "kept") // shares its blob
	orphan, err := s.PutBlob(strings.NewReader("never added"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"blobs/sha256/.tmp-a", "models/.tmp-b/model.json", "blobs/sha256/README"} {
		path := filepath.Join(s.Dir(), file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("12345"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	trees, err := s.Trees()
	if err != nil || len(trees) != 3 { // a layer that all share, and two roots
		t.Errorf("Trees: %v, %v", trees, err)
	}
	for _, version := range []string{"1.0.0", "2.0.0"} {
		if err := s.Remove("gone", version); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.Garbage()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[Digest]int64{}
	for _, b := range found.Blobs {
		sizes[b.Digest] = b.Size
	}
	if want := map[Digest]int64{orphan.Digest: 11, DigestOf([]byte("only gone's")): 11}; !reflect.DeepEqual(sizes, want) {
		t.Errorf("blobs %v, want %v", sizes, want)
	}
	if want := []Temp{{Path: "blobs/sha256/.tmp-a", Size: 5}, {Path: "models/.tmp-b", Size: 5}}; !reflect.DeepEqual(found.Temps, want) {
		t.Errorf("temps %v, want %v", found.Temps, want)
	}
	if found.Size() != 32 {
		t.Errorf("size %d, want 32", found.Size())
	}
	if swept, err := s.Sweep(); err != nil || !reflect.DeepEqual(swept, found) {
		t.Errorf("Sweep: %v, %v, want %v", swept, err, found)
	}
	if again, err := s.Garbage(); err != nil || again.Size() != 0 {
		t.Errorf("left over: %v, %v", again, err)
	}
	if wrong := s.Verify(kept); len(wrong) != 0 {
		t.Errorf("the sweep hit a living model: %v", wrong)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "blobs/sha256/README")); err != nil {
		t.Errorf("the sweep took what is not the store's: %v", err)
	}
}

func TestGoldenInputsAreNoGarbage(t *testing.T) {
	s := openStore(t, t.TempDir())
	m := mustPut(t, s, "tiny", "1.0.0", "w")
	blob, err := s.PutBlob(strings.NewReader("image"), "")
	if err != nil {
		t.Fatal(err)
	}
	m.Manifest.Version = "2.0.0"
	m.Golden = map[string]Blob{"1.png": blob}
	if err := s.Add(m, nil); err != nil {
		t.Fatal(err)
	}
	if g, err := s.Garbage(); err != nil || g.Size() != 0 {
		t.Errorf("got %v, %v", g, err)
	}
}

func TestModelDigest(t *testing.T) {
	manifest, err := Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	layers := []Digest{DigestOf([]byte("a")), DigestOf([]byte("b"))}
	files := map[string]Blob{"/a": {layers[0], 1}, "/b": {layers[1], 2}}
	digest := func(m Manifest, layers []Digest, files, golden map[string]Blob) Digest {
		t.Helper()
		d, err := ModelDigest(m, layers, files, golden)
		if err != nil || d.Validate() != nil {
			t.Fatal(d, err)
		}
		return d
	}
	base := digest(*manifest, layers, files, nil)
	golden(t, "digest.txt", []byte(base+"\n")) // a change of this breaks every installed model
	if again := digest(*manifest, layers, map[string]Blob{"/b": files["/b"], "/a": files["/a"]}, map[string]Blob{}); again != base {
		t.Errorf("got %s, then %s", base, again)
	}
	other := *manifest
	other.Resources.PIDs++
	for name, d := range map[string]Digest{
		"manifest":          digest(other, layers, files, nil),
		"order of layers":   digest(*manifest, []Digest{layers[1], layers[0]}, files, nil),
		"file":              digest(*manifest, layers, map[string]Blob{"/a": files["/a"]}, nil),
		"file as a golden":  digest(*manifest, layers, nil, files),
		"size of one":       digest(*manifest, layers, map[string]Blob{"/a": {layers[0], 9}, "/b": files["/b"]}, nil),
		"additional golden": digest(*manifest, layers, files, map[string]Blob{"x": files["/a"]}),
	} {
		if d == base {
			t.Errorf("another %s, the same digest", name)
		}
	}
}

func TestLock(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store"))
	ctx := context.Background()
	unlock, err := s.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = s.RLock(short)
	wantError(t, err, context.DeadlineExceeded, "another mmbox is at work there")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	first, err := s.RLock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.RLock(ctx)
	if err != nil {
		t.Fatalf("two readers exclude each other: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		unlock, err := s.Lock(ctx)
		if err == nil {
			err = unlock()
		}
		got <- err
	}()
	if err := first(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		t.Fatalf("a writer got in beside a reader: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := second(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("the writer that waited: %v", err)
	}
}

func TestConcurrentPutAndAdd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store") // not there: all race to make it
	const workers, each = 8, 10
	var wg sync.WaitGroup
	errs := make(chan error, workers*each*2)
	for w := range workers {
		wg.Go(func() {
			s, err := Open(dir) // a handle of its own, as another process has
			if err != nil {
				errs <- err
				return
			}
			for i := range each {
				content := fmt.Sprint("same for all workers ", i)
				if _, err := put(s, fmt.Sprintf("m%d-%d", w, i), "1.0.0", content); err != nil {
					errs <- err
				}
				if _, err := put(s, fmt.Sprint("raced", i), "1.0.0", content); err != nil {
					errs <- err // one of all may win
				}
			}
			errs <- s.Close()
		})
	}
	wg.Wait()
	close(errs)
	lost := 0
	for err := range errs {
		switch {
		case errors.Is(err, ErrExists):
			lost++
		case err != nil:
			t.Error(err)
		}
	}
	if lost != (workers-1)*each {
		t.Errorf("%d adds of the same model lost, want %d", lost, (workers-1)*each)
	}
	s := openStore(t, dir)
	all, err := s.List()
	if err != nil || len(all) != workers*each+each {
		t.Errorf("%d models, %v, want %d", len(all), err, workers*each+each)
	}
	for _, m := range all {
		for _, err := range s.Verify(&m) {
			t.Error(err)
		}
	}
	if g, err := s.Garbage(); err != nil || g.Size() != 0 {
		t.Errorf("left behind: %v, %v", g, err)
	}
}
