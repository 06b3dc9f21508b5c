package vm

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Descriptors that QEMU inherits.
const (
	fdConsole = 3 + iota
	fdStatus
	fdStdout
	fdStderr
	fdInitramfs
)

// accelerators maps a name to QEMU's arguments. KVM is never chosen by itself: where /dev/kvm opens it need not work.
var accelerators = map[string][]string{
	"tcg": {"-accel", "tcg,thread=multi", "-cpu", "max"},
	"kvm": {"-accel", "kvm", "-cpu", "host"},
}

// kernelCommandLine is what the guest's kernel boots with.
func (m Machine) kernelCommandLine() string {
	return strings.Join(append([]string{
		"console=ttyS0",
		"loglevel=5",             // warnings and worse, so that an oops is seen; each line costs time in emulation
		"oops=panic", "panic=-1", // an oops ends the machine, at once
		"mitigations=off", "random.trust_cpu=on", "no_timer_check",
		"psi=1",
		"systemd.unified_cgroup_hierarchy=1", "systemd.show_status=0", "systemd.journald.forward_to_console=0",
	}, m.Kernel...), " ")
}

// qemuArgs are QEMU's arguments. Nothing in them names a temporary file.
func (m Machine) qemuArgs(kernel Kernel) []string {
	args := []string{"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35"}
	args = append(args, accelerators[m.Accel]...)
	args = append(args, "-smp", fmt.Sprint(m.CPUs), "-m", fmt.Sprintf("%dM", m.Memory>>20))
	args = append(args, "-kernel", kernel.image(), "-initrd", fmt.Sprintf("/proc/self/fd/%d", fdInitramfs),
		"-append", m.kernelCommandLine())
	args = append(args, chardev("console", fdConsole)...)
	args = append(args, "-serial", "chardev:console", "-device", "virtio-serial-pci")
	for i, port := range []struct {
		name string
		fd   int
	}{{"status", fdStatus}, {"stdout", fdStdout}, {"stderr", fdStderr}} {
		args = append(args, chardev(port.name, port.fd)...)
		args = append(args, "-device", fmt.Sprintf("virtserialport,chardev=%s,nr=%d", port.name, i+1))
	}
	args = append(args, share9p("root", Share{Host: "/"})...)
	for i, s := range m.shares(kernel) {
		args = append(args, share9p(shareTag(i), s)...)
	}
	return args
}

func chardev(id string, fd int) []string {
	return []string{"-chardev", fmt.Sprintf("file,id=%s,path=/proc/self/fd/%d", id, fd)}
}

func share9p(tag string, s Share) []string {
	// In QEMU's option lists a comma is written twice.
	path := strings.ReplaceAll(s.Host, ",", ",,")
	fsdev := fmt.Sprintf("local,id=%s,path=%s,security_model=passthrough,multidevs=remap", tag, path)
	if !s.Writable {
		fsdev += ",readonly=on"
	}
	return []string{"-fsdev", fsdev, "-device", fmt.Sprintf("virtio-9p-pci,fsdev=%s,mount_tag=%s", tag, tag)}
}

// startQEMU starts QEMU with files as descriptors 3 and up. The channel delivers the result of waiting for it.
// QEMU gets no signals from the terminal, and the kernel kills it when this process dies in whatever way.
func startQEMU(args []string, files []*os.File, stderr *console) (*os.Process, <-chan error, error) {
	path, err := toolPath("qemu-system-x86_64")
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.ExtraFiles = files
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	done := make(chan error, 1)
	go func() {
		// The death signal is tied to the thread that forks, so the thread has to live as long as QEMU.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		done <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, nil, fmt.Errorf("start qemu: %w", err)
	}
	return cmd.Process, done, nil
}
