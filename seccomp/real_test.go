package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary started with this variable is the confined program: "attempts" makes the calls below and prints each
// one's error; "exec" becomes the program its arguments name.
const confined = "MMBOX_TEST_CONFINED"

func TestMain(m *testing.M) {
	switch os.Getenv(confined) {
	case "":
		os.Exit(m.Run())
	case "attempts":
		install()
		for _, a := range attempts {
			fmt.Printf("%s=%v\n", a.name, a.do())
		}
	case "exec":
		install()
		err := unix.Exec(os.Args[1], os.Args[1:], os.Environ())
		fmt.Fprintf(os.Stderr, "exec %q: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func install() {
	f, err := Compile(Default().Spec())
	if err == nil {
		err = load(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// load puts every thread of this process under the filter, without libseccomp: the bytes alone are what is tested.
func load(f Filter) error {
	runtime.LockOSThread() // no_new_privs is of the thread; the filter's synchronisation spreads it to the others
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	program := f.Instructions()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 || thread != 0 {
		return fmt.Errorf("load filter: thread %d, %w", thread, errno)
	}
	return nil
}

// call makes a system call with its error as text; one that the filter lets through and that succeeds is "ok".
func call(nr uintptr, args ...uintptr) func() string {
	return func() string {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno == 0 {
			return "ok"
		}
		return unix.ErrnoName(errno)
	}
}

var attempts = []struct {
	name string
	do   func() string
	want string
}{
	{"getpid", call(unix.SYS_GETPID), "ok"},
	{"socket unix", call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM), "ok"},
	{"socket netlink", call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW), "ok"},
	{"socket packet", call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW), "EAFNOSUPPORT"},
	{"socket vsock", call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM), "EAFNOSUPPORT"},
	{"socket alg", call(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET), "EAFNOSUPPORT"},
	{"unshare user", call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER), "EPERM"},
	{"clone user", call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)), "EPERM"},
	{"clone3", call(unix.SYS_CLONE3), "ENOSYS"},
	{"mount", call(unix.SYS_MOUNT), "EPERM"},
	{"ptrace", call(unix.SYS_PTRACE), "EPERM"},
	{"bpf", call(unix.SYS_BPF), "EPERM"},
	{"userfaultfd", call(unix.SYS_USERFAULTFD), "EPERM"},
	{"io_uring_setup", call(unix.SYS_IO_URING_SETUP), "EPERM"},
	{"keyctl", call(unix.SYS_KEYCTL), "EPERM"},
	{"ioctl TIOCSTI", call(unix.SYS_IOCTL, 0, unix.TIOCSTI), "EPERM"},
	{"ioctl TIOCSTI, upper half set", call(unix.SYS_IOCTL, 0, 1<<32|unix.TIOCSTI), "EPERM"},
	{"ioctl TCGETS on a bad descriptor", call(unix.SYS_IOCTL, 9999, unix.TCGETS), "EBADF"},
	{"personality", call(unix.SYS_PERSONALITY, 0xffffffff), "ok"},
	{"no address randomisation", call(unix.SYS_PERSONALITY, noRandomize), "EPERM"},
	{"call of the future", call(4000), "ENOSYS"},
	{"clock_settime", call(unix.SYS_CLOCK_SETTIME), "EPERM"},
	{"seccomp mode", func() string {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(status), "Seccomp:\t2\n") || !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
			return string(status)
		}
		return "ok"
	}, "ok"},
	{"every thread", func() string {
		runtime.LockOSThread() // so that the next goroutine is on another thread
		answer := make(chan string)
		go func() {
			runtime.LockOSThread()
			answer <- call(unix.SYS_MOUNT)()
		}()
		return <-answer
	}, "EPERM"},
}

func confine(t *testing.T, how string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), confined+"="+how)
	return cmd
}

func TestAttemptsUnderTheRealFilter(t *testing.T) {
	var stderr bytes.Buffer
	cmd := confine(t, "attempts")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	var want []string
	for _, a := range attempts {
		want = append(want, a.name+"="+a.want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOrdinaryProgramsRunUnderTheRealFilter(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		program string
		args    []string
		want    string
	}{
		{"sh", []string{"-c", `cd "$1" && echo a >x && cat x x | wc -l && mkdir d && mv x d && ls d && (exit 3); echo $?`, "sh", dir}, "2\nx\n3\n"},
		{"bash", []string{"-c", `trap 'echo end' EXIT; for i in 1 2; do echo $i & done; wait; read x < <(echo y); echo $x`}, ""},
		{"sort", []string{"/dev/null"}, ""},
		{"cp", []string{"-a", "/etc/hostname", dir + "/copy"}, ""},
		{"tar", []string{"-C", "/etc", "-cf", dir + "/a.tar", "hostname"}, ""},
		{"python3", []string{"-c", `
import threading, subprocess, tempfile, socket, time, mmap, hashlib, select, json
r=[]
t=[threading.Thread(target=lambda i=i: r.append(i)) for i in range(4)]
[x.start() for x in t]; [x.join() for x in t]
out=subprocess.run(["echo","hi"],capture_output=True,text=True).stdout.strip()
a,b=socket.socketpair(); a.send(b"x"); assert b.recv(1)==b"x"
f=tempfile.TemporaryFile(); f.write(b"0"*4096); f.flush(); mmap.mmap(f.fileno(),4096).close()
time.sleep(0.001); select.select([],[],[],0)
print(sorted(r), out, hashlib.sha256(b"").hexdigest()[:8])`}, "[0, 1, 2, 3] hi e3b0c442\n"},
	} {
		path, err := exec.LookPath(c.program)
		if err != nil {
			if c.program == "python3" || c.program == "bash" {
				t.Logf("%s is not on this machine", c.program)
				continue
			}
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd := confine(t, "exec", append([]string{path}, c.args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || (c.want != "" && string(out) != c.want) {
			t.Errorf("%s: %q, want %q; error %v\n%s", c.program, out, c.want, err, stderr.String())
		}
	}
}

// A Go program with many threads: this test binary itself, running its other tests.
func TestGoProgramRunsUnderTheRealFilter(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := confine(t, "exec", "/usr/bin/env", "-u", confined, self, "-test.run=^TestCached|^TestDefaultVerdicts$", "-test.v")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestCachedByManyAtOnce")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFilterLength(t *testing.T) {
	for _, f := range []Filter{nil, make(Filter, 7), make(Filter, 12), make(Filter, 8*(maxInstructions+1))} {
		if err := f.check(); err == nil {
			t.Errorf("filter of %d bytes: accepted", len(f))
		}
	}
	if err := make(Filter, 8*maxInstructions).check(); err != nil {
		t.Error(err)
	}
	if size := unsafe.Sizeof(unix.SockFilter{}); size != instructionSize {
		t.Errorf("struct sock_filter has %d bytes, not %d", size, instructionSize)
	}
}
