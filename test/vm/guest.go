package vm

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed guest
var guestFiles embed.FS

// basePath is the PATH of a command that does not set one.
const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin"

// guestTmpfs are directories the guest starts with empty, on a tmpfs of their own: an overlay mount can neither
// be the upper layer of another one nor hold hard links to what lies below.
var guestTmpfs = []struct {
	path string
	mode uint32
}{{"/run", 0o755}, {"/tmp", 0o1777}, {"/var/tmp", 0o1777}, {"/var/lib/mmbox", 0o755}, {"/var/cache/mmbox", 0o755}}

// writeInitramfs writes the archive that the kernel boots: busybox, the modules to reach the root, the scripts in
// guest/, what machine and command add to them.
func writeInitramfs(w io.Writer, m Machine, kernel Kernel, cmd Command) error {
	busybox, err := staticBusybox()
	if err != nil {
		return err
	}
	modules, err := kernelModules(kernel)
	if err != nil {
		return err
	}
	a := newArchive(w)
	for _, dir := range []string{"bin", "dev", "proc", "sys", "lower", "upper", "mnt", "vm", "vm/files"} {
		a.dir(dir, 0o755)
	}
	// The kernel opens it for PID 1 before anything mounts a devtmpfs.
	a.char("dev/console", 0o600, 5, 1)
	a.copyFile("bin/busybox", busybox)
	var order strings.Builder
	for _, file := range modules {
		a.copyFile("vm/"+path.Base(file), filepath.Join(kernel.modules(), file))
		fmt.Fprintln(&order, path.Base(file))
	}
	a.bytes("vm/modules", 0o644, []byte(order.String()))
	for i, file := range m.Files {
		a.copyFile(fmt.Sprintf("vm/files/%d", i), file.Host)
	}
	a.bytes("vm/mounts", 0o644, []byte(mountScript(m, kernel)))
	a.bytes("vm/command.sh", 0o644, []byte(commandScript(cmd)))
	if m.Systemd {
		a.bytes("vm/systemd", 0o644, nil)
	}
	for name, to := range map[string]string{"init.sh": "init", "job.sh": "vm/job.sh",
		"mmbox-vm.target": "vm/mmbox-vm.target", "mmbox-vm.service": "vm/mmbox-vm.service"} {
		data, err := guestFiles.ReadFile("guest/" + name)
		if err != nil {
			return err
		}
		perm := os.FileMode(0o644)
		if to == "init" {
			perm = 0o755
		}
		a.bytes(to, perm, data)
	}
	return a.close()
}

// kernelModules returns the boot modules' files in the order of insertion, relative to the kernel's module directory.
func kernelModules(kernel Kernel) ([]string, error) {
	dep, err := os.Open(filepath.Join(kernel.modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer dep.Close()
	builtin, err := os.Open(filepath.Join(kernel.modules(), "modules.builtin"))
	if err != nil {
		return nil, err
	}
	defer builtin.Close()
	deps, err := parseModules(dep, builtin)
	if err != nil {
		return nil, err
	}
	files, err := deps.order(bootModules...)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if path.Ext(file) != ".ko" {
			return nil, fmt.Errorf("prepare kernel modules: %q is compressed, which busybox insmod does not read", file)
		}
	}
	return files, nil
}

// mountScript is what init.sh reads to fill the guest's root: tmpfs, shares, files, in this order.
func mountScript(m Machine, kernel Kernel) string {
	var b strings.Builder
	for _, t := range guestTmpfs {
		fmt.Fprintf(&b, "tmpfs %s %o\n", quote(t.path), t.mode)
	}
	for i, s := range m.shares(kernel) {
		options := "cache=loose,ro"
		if s.Writable {
			// Results must be on the host even when the guest dies: nothing stays in its page cache but what is mapped.
			options = "cache=mmap,rw"
		}
		fmt.Fprintf(&b, "share %s %s %s\n", shareTag(i), quote(s.Guest), options)
	}
	for i, f := range m.Files {
		fmt.Fprintf(&b, "file /vm/files/%d %s\n", i, quote(f.Guest))
	}
	return b.String()
}

// shares are the machine's own and the one every guest needs: modules for its kernel, which the host does not have.
func (m Machine) shares(kernel Kernel) []Share {
	modules := Share{Host: kernel.modules(), Guest: "/lib/modules/" + kernel.Release}
	return append([]Share{modules}, m.Share...)
}

func shareTag(i int) string { return fmt.Sprintf("share%d", i) }

// commandScript starts the command in its directory with exactly its environment.
func commandScript(cmd Command) string {
	dir := cmd.Dir
	if dir == "" {
		dir = "/"
	}
	// Not busybox's env, which would prefer busybox's own programs to the ones of the root.
	// A shell has what it starts in the background ignore SIGINT and SIGQUIT; the command gets them as usual.
	words := []string{"exec", "/usr/bin/env", "-i", "--default-signal=INT,QUIT"}
	for _, entry := range slices.Concat([]string{"PATH=" + basePath, "HOME=/root", "TERM=dumb", "MMBOX_VM=1"}, cmd.Env) {
		words = append(words, quote(entry))
	}
	for _, arg := range cmd.Args {
		words = append(words, quote(arg))
	}
	return "cd " + quote(dir) + " || exit 125\n" + strings.Join(words, " ") + "\n"
}

// quote makes one word of text for a POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// check refuses what the guest's scripts could only misunderstand.
func (cmd Command) check() error {
	if len(cmd.Args) == 0 || cmd.Args[0] == "" {
		return errors.New("run in virtual machine: no command")
	}
	// env would take it for a variable.
	if strings.Contains(cmd.Args[0], "=") {
		return fmt.Errorf("run in virtual machine: command %q contains =", cmd.Args[0])
	}
	for _, entry := range cmd.Env {
		if name, _, found := strings.Cut(entry, "="); !found || name == "" {
			return fmt.Errorf("run in virtual machine: environment %q: write NAME=VALUE", entry)
		}
	}
	for _, text := range slices.Concat(cmd.Args, cmd.Env, []string{cmd.Dir}) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("run in virtual machine: %q contains a NUL", text)
		}
	}
	return nil
}
