package vm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestInside runs in the guest, started by TestGuest. Each check fails rather than skips: what it looks for is what
// the project's tests rely on.
func TestInside(t *testing.T) {
	pid1 := os.Getenv("MMBOX_VM_INSIDE")
	if pid1 == "" {
		t.Skip("runs inside the virtual machine, started by TestGuest")
	}
	checks := []struct {
		name string
		run  func(*testing.T)
	}{
		{"pid 1", func(t *testing.T) { insidePID1(t, pid1 == "systemd=true") }},
		{"root", insideRoot},
		{"controllers", insideControllers},
		{"pressure", insidePressure},
		{"memory limit", insideMemoryLimit},
		{"pids limit", insidePIDsLimit},
		{"freeze and kill", insideFreezeAndKill},
		{"namespaces", insideNamespaces},
		{"seccomp", insideSeccomp},
		{"landlock", insideLandlock},
		{"overlay", insideOverlay},
		{"squashfs", func(t *testing.T) { insideImage(t, "squashfs") }},
		{"erofs", func(t *testing.T) { insideImage(t, "erofs") }},
		{"tmpfs", insideTmpfs},
		{"capabilities", insideCapabilities},
		{"loopback", insideLoopback},
		{"orphans", insideOrphans},
		{"modules", insideModules},
	}
	for _, c := range checks {
		t.Run(c.name, c.run)
	}
}

func insidePID1(t *testing.T, systemd bool) {
	comm := strings.TrimSpace(read(t, "/proc/1/comm"))
	if (comm == "systemd") != systemd {
		t.Errorf("PID 1 is %q", comm)
	}
	if !systemd {
		return
	}
	out, err := exec.Command("systemctl", "is-system-running", "--wait").CombinedOutput()
	if string(out) != "running\n" {
		failed, _ := exec.Command("systemctl", "--failed", "--no-legend").CombinedOutput()
		t.Errorf("systemd says %q, %v; failed: %s", out, err, failed)
	}
	if out, err := exec.Command("systemd-run", "--quiet", "--wait", "true").CombinedOutput(); err != nil {
		t.Errorf("a unit cannot be run: %v: %s", err, out)
	}
}

// insideRoot checks that the host's root is there, with its owners and modes, and takes changes.
func insideRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatalf("uid %d, want 0", os.Getuid())
	}
	info, err := os.Stat("/usr/bin/su")
	if err != nil || info.Mode()&os.ModeSetuid == 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("/usr/bin/su: %v, %v; want setuid root", info, err)
	}
	for _, path := range []string{"/etc/passwd", "/usr/bin/su"} { // copied up
		if err := os.Chown(path, 1234, 1235); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Sys().(*syscall.Stat_t).Gid != 1235 {
			t.Errorf("%s after chown: %v, %v", path, info, err)
		}
	}
	// The host's root itself must refuse.
	if err := os.WriteFile("/run/test/testdata/x", nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("write to a read-only share: %v, want %v", err, unix.EROFS)
	}
}

// insideModules checks that the kernel finds modules it was not booted with.
func insideModules(t *testing.T) {
	if out, err := exec.Command("modprobe", "dummy").CombinedOutput(); err != nil {
		t.Errorf("modprobe dummy: %v: %s", err, out)
	}
}

const cgroupRoot = "/sys/fs/cgroup"

func insideControllers(t *testing.T) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &stat); err != nil || stat.Type != unix.CGROUP2_SUPER_MAGIC {
		t.Fatalf("%s: type %#x, %v; want cgroup2", cgroupRoot, stat.Type, err)
	}
	enabled := strings.Fields(read(t, cgroupRoot+"/cgroup.subtree_control"))
	for _, want := range []string{"cpu", "cpuset", "io", "memory", "pids"} {
		if !slices.Contains(enabled, want) {
			t.Errorf("controllers enabled at the root: %q, want %q among them", enabled, want)
		}
	}
	// Two levels down, as a sandbox's cgroup lies below the project's.
	dir := newCgroup(t, "+cpu +cpuset +io +memory +pids")
	for file, value := range map[string]string{"cpu.max": "20000 100000", "memory.max": "67108864", "pids.max": "16",
		"cpuset.cpus": "0", "io.weight": "default 50", "memory.swap.max": "0", "memory.oom.group": "1"} {
		write(t, filepath.Join(dir, file), value)
		if got := strings.TrimSpace(read(t, filepath.Join(dir, file))); got != value {
			t.Errorf("%s is %q after %q was written", file, got, value)
		}
	}
}

// newCgroup makes /NAME/leaf with the controllers and removes both at the end of the test.
func newCgroup(t *testing.T, controllers string) string {
	t.Helper()
	parent := filepath.Join(cgroupRoot, fmt.Sprintf("test-%d", time.Now().UnixNano()))
	leaf := filepath.Join(parent, "leaf")
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(parent, "cgroup.subtree_control"), controllers)
	if err := os.Mkdir(leaf, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		write(t, filepath.Join(leaf, "cgroup.kill"), "1")
		for _, dir := range []string{leaf, parent} {
			err := unix.Rmdir(dir)
			for range 500 { // the kernel takes a moment to let go of killed processes
				if !errors.Is(err, unix.EBUSY) {
					break
				}
				time.Sleep(10 * time.Millisecond)
				err = unix.Rmdir(dir)
			}
			if err != nil {
				t.Errorf("remove cgroup %q: %v", dir, err)
			}
		}
	})
	return leaf
}

// inCgroup prepares a shell that starts inside a cgroup.
func inCgroup(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
	return cmd
}

func insidePressure(t *testing.T) {
	for _, file := range []string{"/proc/pressure/memory", filepath.Join(newCgroup(t, "+memory"), "cpu.pressure")} {
		if text := read(t, file); !strings.Contains(text, "some avg10=") {
			t.Errorf("%s: %q", file, text)
		}
	}
}

func insideMemoryLimit(t *testing.T) {
	dir := newCgroup(t, "+memory")
	write(t, filepath.Join(dir, "memory.max"), strconv.Itoa(16<<20))
	// tail keeps the last line, here all of 64 MiB.
	out, err := inCgroup(t, dir, "head -c 67108864 /dev/zero | exec tail -n 1 >/dev/null").CombinedOutput()
	if events := read(t, filepath.Join(dir, "memory.events")); !strings.Contains(events, "oom_kill 1") {
		t.Errorf("64 MiB in a cgroup of 16 MiB: %v, %s; events: %s", err, out, events)
	}
}

func insidePIDsLimit(t *testing.T) {
	dir := newCgroup(t, "+pids")
	write(t, filepath.Join(dir, "pids.max"), "4")
	out, err := inCgroup(t, dir, "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait").CombinedOutput()
	if events := read(t, filepath.Join(dir, "pids.events")); strings.HasPrefix(events, "max 0") || err == nil {
		t.Errorf("9 processes in a cgroup of 4: %v, %s; events: %s", err, out, events)
	}
}

func insideFreezeAndKill(t *testing.T) {
	dir := newCgroup(t, "+pids")
	cmd := inCgroup(t, dir, "exec sleep 1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cgroup.freeze"), "1")
	frozen := false
	for range 500 {
		if frozen = strings.Contains(read(t, filepath.Join(dir, "cgroup.events")), "frozen 1"); frozen {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !frozen {
		t.Errorf("not frozen after 5 s: %s", read(t, filepath.Join(dir, "cgroup.events")))
	}
	write(t, filepath.Join(dir, "cgroup.kill"), "1")
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("cgroup.kill: %v, want SIGKILL", err)
	}
}

func insideNamespaces(t *testing.T) {
	if text := read(t, "/proc/sys/kernel/unprivileged_userns_clone"); text != "1\n" {
		t.Errorf("kernel.unprivileged_userns_clone is %q", text)
	}
	cmd := exec.Command("/bin/sh", "-c", "id -u; hostname; cat /proc/self/uid_map; mount -t proc proc /proc && ls -d /proc/[0-9]*")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
			unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		Credential:  &syscall.Credential{}, // root inside: without it the process stays an unmapped user
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},

		GidMappingsEnableSetgroups: true,
	}
	out, err := cmd.CombinedOutput()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 6 || words[0] != "0" || words[3] != "100000" || words[5] != "/proc/1" {
		t.Errorf("in seven new namespaces: %v: %q", err, out)
	}
	if _, err := os.Stat("/proc/self/ns/time"); err != nil {
		t.Errorf("time namespaces: %v", err)
	}
}

// insideSeccomp gives a thread a filter that lets getppid fail.
func insideSeccomp(t *testing.T) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_GETPPID},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.EXDEV)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                      // SECCOMP_RET_ALLOW
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the filtered thread ends with the goroutine
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			result <- err
			return
		}
		const setModeFilter = 1
		if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
			result <- errno
			return
		}
		_, _, errno := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		result <- errno
	}()
	if err := <-result; !errors.Is(err, unix.EXDEV) {
		t.Errorf("filtered getppid: %v, want %v", err, unix.EXDEV)
	}
}

func insideLandlock(t *testing.T) {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	if errno != 0 || abi < 1 {
		t.Errorf("landlock ABI %d, %v", int(abi), errno)
	}
}

func insideLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// insideOrphans checks that PID 1 reaps what it inherits.
func insideOrphans(t *testing.T) {
	out, err := exec.Command("/bin/sh", "-c", "sleep 0.2 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	proc := filepath.Join("/proc", strings.TrimSpace(string(out)))
	for range 1000 {
		if _, err := os.Stat(proc); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	status, err := os.ReadFile(proc + "/status")
	t.Errorf("orphan %s still exists: %s, %v", proc, status, err)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Errorf("write %q: %v", text, err)
	}
}
