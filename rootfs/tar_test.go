package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

// archive writes a tar of headers; a header's content is its PAX record "test.content", which is not written.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.PAXRecords["test.content"]
		delete(h.PAXRecords, "test.content")
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Name: name, PAXRecords: map[string]string{"test.content": content}}
}

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

func hard(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

func dir(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o777}
}

func newTrees(t testing.TB) *tree.Store {
	t.Helper()
	trees, err := tree.Open(filepath.Join(t.TempDir(), "trees"))
	if err != nil {
		t.Fatal(err)
	}
	return trees
}

func mustTar(t *testing.T, trees *tree.Store, data []byte) models.Digest {
	t.Helper()
	d, err := buildTar(t, trees, data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// buildTar builds a tree of an archive.
func buildTar(t testing.TB, trees *tree.Store, data []byte) (models.Digest, error) {
	t.Helper()
	return Builder{trees, DefaultLimits}.buildTar(t, data)
}

func (b Builder) buildTar(t testing.TB, data []byte) (models.Digest, error) {
	t.Helper()
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "a.tar"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return b.Build(context.Background(), models.Layer{Tar: "a.tar"}, base)
}

// text gives what a tree holds, one line an entry.
func text(t testing.TB, trees *tree.Store, d models.Digest) string {
	t.Helper()
	l, err := trees.Listing(d)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range l.Entries {
		switch e.Kind {
		case tree.Dir:
			fmt.Fprintf(&b, "%s/\n", e.Path)
		case tree.Link:
			fmt.Fprintf(&b, "%s -> %s\n", e.Path, e.Target)
		case tree.File:
			data, err := os.ReadFile(filepath.Join(trees.Root(d), e.Path))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s %.20q\n", e.Path, e.Mode, data)
		}
	}
	return b.String()
}

// empty fails the test if a failed build left anything.
func empty(t testing.TB, trees *tree.Store) {
	t.Helper()
	for _, pattern := range []string{"sha256/*", "tmp-*", "sources/*"} {
		if left, _ := filepath.Glob(filepath.Join(trees.SourcesDir(), "..", pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestTarRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20) + outside[1:]
	long := strings.Repeat("a", 256)
	many := func(n int) (out []tar.Header) {
		for i := range n {
			out = append(out, file(fmt.Sprint("f", i), ""))
		}
		return out
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"dot dot":               {archive(t, file(up, "x")), `".." leads out`},
		"dot dot inside":        {archive(t, dir("a"), file("a/../b", "x")), `entry "a/../b": ".." leads out`},
		"absolute":              {archive(t, file(outside, "x")), "absolute name"},
		"write through a link":  {archive(t, link("l", filepath.Dir(outside)), file("l/victim", "x")), `"/l" is a link already`},
		"write through a chain": {archive(t, link("a", "b"), link("b", filepath.Dir(outside)), file("a/victim", "x")), `"/a" is a link already`},
		"write over a link":     {archive(t, link("l", outside), file("l", "x")), `"/l" is a link already and would become a file`},
		"mkdir over a link":     {archive(t, link("l", filepath.Dir(outside)), dir("l/")), `"/l" is a link already and would become a dir`},
		"link below a link":     {archive(t, link("l", filepath.Dir(outside)), link("l/x", "y")), `"/l" is a link already`},
		"hard link outside":     {archive(t, hard("h", up)), `entry "h": hard link to`},
		"hard link absolute":    {archive(t, hard("h", outside)), `entry "h": hard link to`},
		"hard link to a link":   {archive(t, link("l", outside), hard("h", "l")), "which is a link and not a regular file"},
		"hard link through":     {archive(t, link("l", filepath.Dir(outside)), hard("h", "l/victim")), "which is not in the tree"},
		"hard link to a dir":    {archive(t, dir("d"), hard("h", "d")), "which is a dir and not a regular file"},
		"hard link to itself":   {archive(t, file("a", ""), hard("a", "a")), "hard link to itself"},
		"dot is a link":         {archive(t, link(".", filepath.Dir(outside)), file("victim", "x")), "the root is a directory"},
		"dot is a file":         {archive(t, file(".", "x")), "the root is a directory"},
		"slash is a link":       {archive(t, link("/", "x")), "absolute name"},
		"character device":      {archive(t, tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}), `entry "null": device`},
		"block device":          {archive(t, tar.Header{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}), `entry "sda": device`},
		"fifo":                  {archive(t, tar.Header{Name: "p", Typeflag: tar.TypeFifo}), `entry "p": fifo`},
		"unknown type":          {archive(t, tar.Header{Name: "c", Typeflag: tar.TypeCont}), "is not one of"},
		"set-user-ID":           {archive(t, tar.Header{Name: "su", Mode: 0o4755}), `entry "su": set-user-ID`},
		"set-group-ID":          {archive(t, tar.Header{Name: "sg", Mode: 0o2755}), `entry "sg": set-user-ID or set-group-ID`},
		"file becomes dir":      {archive(t, file("a", ""), file("a/b", "")), `"/a" is a file already and would become a dir`},
		"dir becomes file":      {archive(t, file("a/b", ""), file("a", "")), `"/a" is a dir already and would become a file`},
		"dir becomes link":      {archive(t, dir("a"), link("a", "b")), `"/a" is a dir already and would become a link`},
		"long component":        {archive(t, file(long, "")), "longer than 255"},
		"long path":             {archive(t, file(strings.Repeat("abcdefgh/", 300)+"f", "")), "longer than 1024"},
		"deep":                  {archive(t, file(strings.Repeat("a/", 100)+"b", "")), "101 directories deep, more than 64"},
		"not UTF-8":             {archive(t, tar.Header{Name: "a\xff", Format: tar.FormatGNU}), "not UTF-8"},
		"NUL in a name":         {patch(archive(t, file("pax/"+strings.Repeat("x", 120), "")), "path=pax/x", "path=pax/\x00"), "after entry 0"},
		"long link target":      {archive(t, link("l", strings.Repeat("x/", 3000))), "link target"},
		"global path":           {archive(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "/etc/passwd"}}), "global header"},
		"entries after the end": {append(archive(t, file("a", "")), archive(t, file("b", ""))...), "data after the end"},
		"cut in a file":         {archive(t, file("a", strings.Repeat("x", 5000)))[:2000], "unexpected EOF"},
		"cut between entries":   {archive(t, file("a", ""), file("b", ""))[:512], "cut off"},
		"empty file":            {nil, "cut off"},
		"not an archive":        {bytes.Repeat([]byte("hello "), 1000), "invalid tar header"},
		"xz":                    {[]byte("\xfd7zXZ\x00 and so on"), "use gzip or zstd"},
		"too many entries":      {archive(t, many(101)...), "more than 100 entries"},
		"too many bytes":        {archive(t, file("a", strings.Repeat("x", 600_000)), file("b", strings.Repeat("x", 600_000))), "over the limit of 1048576"},
		"gzip cut":              {gz(t, archive(t, file("a", "x")))[:60], "unexpected EOF"},
		"gzip with a tail":      {append(gz(t, archive(t, file("a", "x"))), "tail"...), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			limits := DefaultLimits
			limits.Entries, limits.Bytes = 100, 1<<20
			trees := newTrees(t)
			d, err := Builder{trees, limits}.buildTar(t, tc.data)
			if err == nil {
				t.Fatalf("unpacked:\n%s", text(t, trees, d))
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q, want one with %q", err, tc.want)
			}
			empty(t, trees)
			if got, err := os.ReadFile(outside); err != nil || string(got) != "safe" {
				t.Errorf("the file outside is %q, %v", got, err)
			}
		})
	}
}

// patch replaces bytes of an archive by as many others.
func patch(data []byte, old, new string) []byte {
	out := bytes.Replace(data, []byte(old), []byte(new), 1)
	if len(old) != len(new) || bytes.Equal(out, data) {
		panic("patch: nothing to replace")
	}
	return out
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func TestTarUnpacked(t *testing.T) {
	deep := strings.Repeat("d123456789/", 30)
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"modes and implied directories": {
			archive(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./a/b", Mode: 0o600, PAXRecords: map[string]string{"test.content": "x"}},
				tar.Header{Name: "a//c", Mode: 0o711}, tar.Header{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o1777}),
			"/a/\n/a/b 0444 \"x\"\n/a/c 0555 \"\"\n/tmp/\n",
		},
		"links are verbatim":  {archive(t, link("a", "../../etc/shadow"), link("b", "/usr/bin"), link("c", "nowhere")), "/a -> ../../etc/shadow\n/b -> /usr/bin\n/c -> nowhere\n"},
		"hard link":           {archive(t, file("a", "x"), hard("d/b", "./a")), "/a 0444 \"x\"\n/d/\n/d/b 0444 \"x\"\n"},
		"later file wins":     {archive(t, file("a", "1"), hard("b", "a"), file("a", "2"), link("l", "1"), link("l", "2")), "/a 0444 \"2\"\n/b 0444 \"1\"\n/l -> 2\n"},
		"case clash":          {archive(t, file("a/File", "1"), file("a/file", "2"), file("A/file", "3")), "/A/\n/A/file 0444 \"3\"\n/a/\n/a/File 0444 \"1\"\n/a/file 0444 \"2\"\n"},
		"PAX long name":       {archive(t, tar.Header{Name: deep + "f", Format: tar.FormatPAX}), lines(deep) + "/" + deep + "f 0444 \"\"\n"},
		"GNU long name":       {archive(t, tar.Header{Name: deep + "f", Format: tar.FormatGNU}), lines(deep) + "/" + deep + "f 0444 \"\"\n"},
		"git's global header": {archive(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "abc"}}, file("a", "")), "/a 0444 \"\"\n"},
		"gzip":                {gz(t, archive(t, file("a", "x"))), "/a 0444 \"x\"\n"},
		"zstd":                {zst(t, archive(t, file("a", "x"))), "/a 0444 \"x\"\n"},
		"nothing":             {archive(t), ""},
	} {
		t.Run(name, func(t *testing.T) {
			trees := newTrees(t)
			d, err := buildTar(t, trees, tc.data)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, trees, d); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
			if err := trees.VerifyTree(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
}

func lines(dir string) (out string) {
	for i, c := range dir {
		if c == '/' {
			out += "/" + dir[:i] + "/\n"
		}
	}
	return out
}

// TestTarAttributes: nothing of an archive's attributes reaches the disk.
func TestTarAttributes(t *testing.T) {
	h := file("ping", "x")
	for _, name := range []string{"security.capability", "trusted.overlay.opaque", "user.overlay.redirect", "user.mine"} {
		h.PAXRecords["SCHILY.xattr."+name] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	h.Uid, h.Gid = 1000, 1000
	trees := newTrees(t)
	d, err := buildTar(t, trees, archive(t, h))
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(trees.Root(d), "ping")
	var list [256]byte
	if n, err := unix.Llistxattr(p, list[:]); err != nil || n != 0 {
		t.Errorf("attributes %q, %v", list[:max(n, 0)], err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil || st.Uid != 0 || st.Gid != 0 || st.Mtim.Sec != tree.Epoch.Unix() {
		t.Errorf("owner %d:%d, time %d, %v", st.Uid, st.Gid, st.Mtim.Sec, err)
	}
}

// TestTarMillion: the limit that holds by default stops an archive of a million entries, and soon.
func TestTarMillion(t *testing.T) {
	one := archive(t, dir("d"))[:512]
	trees := newTrees(t)
	s, err := trees.NewStage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	u := unpacker{Stage: s, ctx: t.Context(), limits: DefaultLimits}
	err = u.unpack(io.LimitReader(&repeat{one, 0}, 512*1_000_000))
	if err == nil || !strings.Contains(err.Error(), "more than 200000 entries") {
		t.Errorf("error %v", err)
	}
}

type repeat struct {
	data []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}

// TestTarSparse: a header that says a terabyte costs nothing.
func TestTarSparse(t *testing.T) {
	h := archive(t, tar.Header{Name: "huge", PAXRecords: map[string]string{"test.content": "x"}, Format: tar.FormatGNU})
	old := slices.Clone(h[:512])
	old[156] = tar.TypeGNUSparse
	copy(old[386:], fmt.Sprintf("%011o\x00%011o\x00", 0, 1)) // one byte of data at 0
	copy(old[483:], "\x80\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00")
	size := []byte{0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0} // 1 TiB in base 256
	copy(old[483:], size)
	checksum(old)
	trees := newTrees(t)
	_, err := buildTar(t, trees, append(old, h[512:]...))
	if err == nil || !strings.Contains(err.Error(), "over the limit of") {
		t.Errorf("error %v", err)
	}
	empty(t, trees)
}

func checksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header[:512] {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// TestTarBomb: what expands beyond all proportion stops long before the limit on bytes.
func TestTarBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	const size = 1 << 30
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: size, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.LimitReader(&repeat{make([]byte, 1<<20), 0}, size)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	trees := newTrees(t)
	_, err := buildTar(t, trees, b.Bytes())
	if err == nil || !strings.Contains(err.Error(), "over the ratio of 200") {
		t.Errorf("error %v", err)
	}
	empty(t, trees)
}

func TestTarDigest(t *testing.T) {
	data := gz(t, archive(t, file("a", "x")))
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "a.tgz"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	good, bad := fmt.Sprintf("%x", sha256.Sum256(data)), strings.Repeat("0", 64)
	trees := newTrees(t)
	_, err := Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Tar: "a.tgz", SHA256: bad}, base)
	if err == nil || !strings.Contains(err.Error(), good) || !strings.Contains(err.Error(), bad) {
		t.Errorf("error %v does not say both digests", err)
	}
	empty(t, trees)
	if _, err := (Builder{trees, DefaultLimits}.Build(t.Context(), models.Layer{Tar: "a.tgz", SHA256: good}, base)); err != nil {
		t.Error(err)
	}
}

func FuzzTar(f *testing.F) {
	f.Add(archive(f))
	f.Add(archive(f, dir("d"), file("d/f", "x"), link("l", "d/f"), hard("h", "d/f")))
	f.Add(gz(f, archive(f, file("a", "x"))))
	f.Add(zst(f, archive(f, file("a", "x"))))
	f.Add(archive(f, tar.Header{Name: strings.Repeat("a/", 120) + "f", Format: tar.FormatPAX}, tar.Header{Name: strings.Repeat("b", 120), Format: tar.FormatGNU}))
	f.Add(archive(f, link("l", "/"), file("../x", "")))
	outer := f.TempDir()
	trees, err := tree.Open(filepath.Join(outer, "trees"))
	if err != nil {
		f.Fatal(err)
	}
	limits := Limits{Bytes: 1 << 20, Entries: 100, Path: 200, Depth: 10, Ratio: 100}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := trees.NewStage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Discard()
		u := unpacker{Stage: s, ctx: t.Context(), limits: limits}
		if err := u.unpack(bytes.NewReader(data)); err != nil {
			return
		}
		if err := inside(s); err != nil {
			t.Error(err)
		}
	})
}

// inside says whether what a stage made on disk is as much as it has listed, and nothing lies below a link.
func inside(s *tree.Stage) error {
	n := -1 // the root itself
	err := filepath.WalkDir(s.RootDir(), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		p = "/" + strings.TrimPrefix(strings.TrimPrefix(p, s.RootDir()), "/")
		if p != "/" && !s.Has(p) {
			return fmt.Errorf("%q is not listed", p)
		}
		return nil
	})
	if err == nil && n != s.Len() { // walking follows no link
		err = fmt.Errorf("%d entries on disk of %d", n, s.Len())
	}
	return err
}
