package vm

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// tool is a program of the host and the Debian package that brings it.
type tool struct{ name, pkg string }

var (
	bootTools = []tool{{"qemu-system-x86_64", "qemu-system-x86"}, {"busybox", "busybox-static"}}
	// modprobe runs in the guest, from the host's root file system.
	guestTools   = []tool{{"modprobe", "kmod"}}
	systemdTools = []tool{{"/lib/systemd/systemd", "systemd"}}
	fetchTools   = []tool{{"apt-get", "apt"}, {"apt-cache", "apt"}, {"dpkg-deb", "dpkg"}, {"depmod", "kmod"}}
)

// requireTools returns an error that names every missing package, so that one apt-get fixes it.
func requireTools(lists ...[]tool) error {
	var names, packages []string
	for _, t := range slices.Concat(lists...) {
		if _, err := toolPath(t.name); err != nil {
			names = append(names, t.name)
			packages = append(packages, t.pkg)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("prepare virtual machine: missing %s; run: apt-get install %s",
		strings.Join(names, ", "), strings.Join(slices.Compact(packages), " "))
}

// toolPath looks in PATH and in the directories of root's programs, which another user's PATH may lack.
func toolPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || strings.Contains(name, "/") {
		return path, err
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// staticBusybox finds busybox and refuses one that needs a dynamic linker, which the initramfs does not have.
func staticBusybox() (string, error) {
	path, err := toolPath("busybox")
	if err != nil {
		return "", err
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("open busybox: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("open busybox %q: it is dynamically linked; run: apt-get install busybox-static", path)
		}
	}
	return path, nil
}
