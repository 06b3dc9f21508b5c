package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestArchiveHeader(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	a.bytes("ab", 0o640, []byte("hello"))
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := "070701" + "00000001" + "000081A0" + "00000000" + "00000000" + "00000001" + "00000000" +
		"00000005" + "00000000" + "00000000" + "00000000" + "00000000" + "00000003" + "00000000" + "ab\x00" +
		"\x00\x00\x00" + // the header with its name ends on a multiple of four
		"hello\x00\x00\x00"
	if got := b.String()[:min(len(want), b.Len())]; got != want {
		t.Errorf("archive begins\n%q, want\n%q", got, want)
	}
	if b.Len()%4 != 0 || !strings.Contains(b.String(), "TRAILER!!!\x00") {
		t.Errorf("archive of %d bytes lacks its trailer or its padding", b.Len())
	}
}

// TestArchiveUnpacks lets another implementation read the archive.
func TestArchiveUnpacks(t *testing.T) {
	busybox, err := staticBusybox()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, bytes.Repeat([]byte("x"), 4097), 0o751); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.dir("d", 0o750)
	for size := range 6 { // every padding
		a.bytes(fmt.Sprintf("d/%s%d", strings.Repeat("n", size), size), 0o600, bytes.Repeat([]byte{'0'}, size))
	}
	a.symlink("d/link", "../some where")
	a.copyFile("copied", source)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(busybox, "cpio", "-i")
	cmd.Dir, cmd.Stdin = dir, &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio -i: %v: %s", err, out)
	}
	for size := range 6 {
		name := filepath.Join(dir, "d", fmt.Sprintf("%s%d", strings.Repeat("n", size), size))
		if data, err := os.ReadFile(name); err != nil || len(data) != size {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(data), err, size)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "d/link")); err != nil || target != "../some where" {
		t.Errorf("link leads to %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "copied")); err != nil || info.Size() != 4097 || info.Mode().Perm() != 0o751 {
		t.Errorf("copied file: %v, %v; want 4097 bytes, mode 0751", info, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "d")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("directory: %v, %v; want mode 0750", info, err)
	}
}

func TestArchiveErrorsStick(t *testing.T) {
	for name, add := range map[string]func(*archive){
		"absent file":  func(a *archive) { a.copyFile("x", filepath.Join(t.TempDir(), "absent")) },
		"directory":    func(a *archive) { a.copyFile("x", t.TempDir()) },
		"endless file": func(a *archive) { a.copyFile("x", "/dev/zero") },
	} {
		var b bytes.Buffer
		a := newArchive(&b)
		add(a)
		a.bytes("later", 0o644, []byte("y"))
		if err := a.close(); err == nil || b.Len() != 0 {
			t.Errorf("%s: close = %v after %d bytes, want an error and none", name, err, b.Len())
		}
	}
	a := newArchive(fullDisk{})
	a.dir("d", 0o755)
	if err := a.close(); !errors.Is(err, errFull) {
		t.Errorf("close = %v, want the writer's error", err)
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
