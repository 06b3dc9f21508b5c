package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHostileArchives installs archives that try to leave the root, and such as are too large. Each is refused with the
// entry's name, nothing outside is written and the store stays as it was.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	program, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	good := tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}
	victim := l.state + "-victim"
	file := func(name string) tar.Header {
		return tar.Header{Name: name, Mode: 0o644, Size: 3, Typeflag: tar.TypeReg}
	}
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Mode: 0o777, Typeflag: tar.TypeSymlink}
	}
	for i, c := range []struct {
		what    string
		entries []tar.Header
		says    []string
	}{
		{"dotdot", []tar.Header{file("../victim")}, []string{"../victim", ".."}},
		{"dotdot inside", []tar.Header{file("a/../../victim")}, []string{"a/../../victim", ".."}},
		{"absolute", []tar.Header{file(victim)}, []string{victim}},
		{"through a symlink", []tar.Header{link("out", base), file("out/victim")}, []string{"out"}},
		{"through a relative symlink", []tar.Header{link("out", "../../../../.."), file("out/victim")}, []string{"out"}},
		{"root as a symlink", []tar.Header{link(".", base)}, []string{"."}},
		{"hard link outside", []tar.Header{{Name: "passwd", Linkname: "../../../../../../etc/passwd", Typeflag: tar.TypeLink}}, []string{"passwd"}},
		{"device", []tar.Header{{Name: "sda", Mode: 0o666, Typeflag: tar.TypeBlock, Devmajor: 8}}, []string{"sda", "device"}},
		{"fifo", []tar.Header{{Name: "pipe", Mode: 0o666, Typeflag: tar.TypeFifo}}, []string{"pipe"}},
		{"dev as a symlink", []tar.Header{link("dev", "/")}, []string{"dev"}},
		{"setuid", []tar.Header{{Name: "su", Mode: 0o6755, Size: 3, Typeflag: tar.TypeReg}}, []string{"su", "6755", "chmod"}},
	} {
		var buffer bytes.Buffer
		w := tar.NewWriter(&buffer)
		for _, h := range append([]tar.Header{good}, c.entries...) {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			content := "abc"
			if h.Name == good.Name {
				content = string(program)
			}
			if h.Size > 0 {
				if _, err := w.Write([]byte(content)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("tar-%d", i)
		l.write(l.model(name)+"/root.tar", buffer.String())
		r := l.install(name, "rootfs: [{tar: root.tar}]\n"+goodRun)
		t.Run(c.what, func(t *testing.T) {
			(&lab{t: t}).checkFailure(r, 1, c.says)
		})
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("a file was written outside")
	}
	for _, path := range tree(t, l.root) {
		info, err := os.Lstat(l.root + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&(os.ModeSetuid|os.ModeSetgid|os.ModeDevice|os.ModeNamedPipe) != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		if strings.HasSuffix(path, "victim") {
			t.Errorf("%s was written", path)
		}
	}
}

// Archives that are small on the wire and large when unpacked.
func TestLargeArchives(t *testing.T) {
	if inVM {
		t.Skip("depends on nothing of the kernel, and takes minutes on an emulated processor: runs on the host")
	}
	t.Parallel()
	l := newLab(t)
	// A million entries. They all name one directory, so that the refusal comes soon: what counts is how many there are.
	l.write(l.model("million")+"/root.tar.gz", gzipped(t, func(w *tar.Writer) error {
		for range 1_000_000 {
			if err := w.WriteHeader(&tar.Header{Name: "d/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
				return err
			}
		}
		return nil
	}))
	l.checkFailure(l.install("million", "rootfs: [{tar: root.tar.gz}]\n"+goodRun), 1, []string{"root.tar.gz", "more than 200000 entries", "leave out"})
	// A header that promises 1 TB.
	var huge bytes.Buffer
	w := tar.NewWriter(&huge)
	if err := w.WriteHeader(&tar.Header{Name: "huge", Mode: 0o644, Size: 1 << 40, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	l.write(l.model("huge")+"/root.tar", huge.String())
	l.checkFailure(l.install("huge", "rootfs: [{tar: root.tar}]\n"+goodRun), 1, []string{"huge"})
	l.write(l.model("sparse")+"/root.tar", sparse())
	l.checkFailure(l.install("sparse", "rootfs: [{tar: root.tar}]\n"+goodRun), 1, []string{"sparse"})
	l.ok("gc")
	for _, path := range tree(t, l.root) {
		if strings.Count(path, "/") > 1 {
			t.Errorf("left in the store: %s", path)
		}
	}
}

// sparse makes an archive of 1 TB of holes, in GNU's format of 1.0, which takes 2 KiB.
func sparse() string {
	var b bytes.Buffer
	record := func(key, value string) string {
		n := len(key) + len(value) + 3
		for n != len(fmt.Sprintf("%d %s=%s\n", n, key, value)) {
			n++
		}
		return fmt.Sprintf("%d %s=%s\n", n, key, value)
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "sparse") + record("GNU.sparse.realsize", "1099511627776")
	block := func(name string, size int, kind byte, content string) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
		copy(h[148:], "        ")
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(h)
		b.WriteString(content + strings.Repeat("\x00", (512-len(content)%512)%512))
	}
	block("PaxHeaders/sparse", len(pax), 'x', pax)
	block("GNUSparseFile/sparse", 512, '0', "1\n1099511627776\n0\n"+strings.Repeat("\x00", 512-18))
	b.Write(make([]byte, 1024))
	return b.String()
}

func gzipped(t *testing.T, fill func(*tar.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	if err := fill(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
