package vm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts and unmounts at the end of the test.
func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		t.Fatalf("mount %s: %v", fstype, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Errorf("unmount %s: %v", fstype, err)
		}
	})
}

// insideOverlay checks that an overlay can be mounted where a store would lie, and hard links be made there.
func insideOverlay(t *testing.T) {
	for _, base := range []string{"/var/lib/mmbox", "/tmp"} {
		dir, err := os.MkdirTemp(base, "overlay-")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"lower", "upper", "work"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, dir+"/lower/file", "below")
		if err := os.Link(dir+"/lower/file", dir+"/lower/link"); err != nil {
			t.Error(err)
		}
		mount(t, "overlay", dir+"/all", "overlay", 0, "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work")
		write(t, dir+"/all/file", "above")
		if below, above := read(t, dir+"/lower/file"), read(t, dir+"/upper/file"); below != "below" || above != "above" {
			t.Errorf("lower holds %q, upper %q", below, above)
		}
	}
}

// insideImage mounts an image of testdata through a loop device.
func insideImage(t *testing.T, fstype string) {
	image, err := os.ReadFile("testdata/hello." + fstype)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", "--read-only", file).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	dir := t.TempDir()
	mount(t, device, dir, fstype, unix.MS_RDONLY, "")
	if text := read(t, dir+"/hello"); text != "read from the image\n" {
		t.Errorf("/hello in the image: %q", text)
	}
}

func insideTmpfs(t *testing.T) {
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m")
	err := os.WriteFile(dir+"/large", make([]byte, 2<<20), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("2 MiB in a tmpfs of 1 MiB: %v, want %v", err, unix.ENOSPC)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Errorf("remount read-only: %v", err)
	}
	if err := os.Remove(dir + "/large"); !errors.Is(err, unix.EROFS) {
		t.Errorf("remove from a read-only mount: %v, want %v", err, unix.EROFS)
	}
}

// insideCapabilities checks that file capabilities can be set, on the root and on a tmpfs.
func insideCapabilities(t *testing.T) {
	for _, dir := range []string{"/root", "/tmp"} {
		file := filepath.Join(dir, "with-capability")
		write(t, file, "x")
		// struct vfs_cap_data, revision 2, effective, CAP_NET_RAW.
		value := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if err := unix.Setxattr(file, "security.capability", value, 0); err != nil {
			t.Errorf("set capability in %s: %v", dir, err)
		}
		got := make([]byte, len(value))
		if n, err := unix.Getxattr(file, "security.capability", got); err != nil || string(got[:n]) != string(value) {
			t.Errorf("capability in %s: %v, %v", dir, got, err)
		}
	}
}
