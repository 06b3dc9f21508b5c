package shim

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sealed runs the shim as a sandbox does: its own file, the status pipe and the filter as descriptors 3, 4 and 5.
func sealed(t *testing.T, filter []byte, path string, args ...string) (stdout string, status []byte, state *os.ProcessState) {
	t.Helper()
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	argv := Seal(path, args, filter != nil)
	cmd := &exec.Cmd{Path: Self, Args: argv, ExtraFiles: []*os.File{file, w}, Env: []string{"A=b"}}
	cmd.Path = "/proc/self/fd/" + strconv.Itoa(int(file.Fd()))
	if filter != nil {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(filter); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	status = make([]byte, 4)
	n, _ := r.Read(status)
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), status[:n], cmd.ProcessState
}

func TestSealExecutes(t *testing.T) {
	out, status, state := sealed(t, nil, "/bin/sh", "name", "-c", `echo "$A $0"; for fd in 3 4 5; do test -e /proc/$$/fd/$fd && echo $fd; done; exit 3`, "zero")
	if state.ExitCode() != 3 || out != "b zero\n" || len(status) != 0 {
		t.Fatalf("exit %d, output %q, status %v; want 3, no descriptor of the shim's, nothing", state.ExitCode(), out, status)
	}
}

func TestSealReportsErrno(t *testing.T) {
	for path, want := range map[string]syscall.Errno{"/does/not/exist": unix.ENOENT, "/etc/passwd": unix.EACCES} {
		_, status, state := sealed(t, nil, path, "x")
		if len(status) != 4 || syscall.Errno(binary.NativeEndian.Uint32(status)) != want || state.ExitCode() != 127 {
			t.Errorf("%s: exit %d, status %v; want 127 and %d", path, state.ExitCode(), status, want)
		}
	}
}

func TestSealLoadsFilter(t *testing.T) {
	allow := []byte{0x06, 0, 0, 0, 0, 0, 0xff, 0x7f} // BPF_RET SECCOMP_RET_ALLOW
	cmd := `test "$(id -u)" = 0 || exit 9; grep ^Seccomp: /proc/self/status`
	out, _, state := sealed(t, allow, "/bin/sh", "sh", "-c", cmd)
	if got := strings.Fields(out); state.ExitCode() != 0 || len(got) != 2 || got[1] != "2" {
		t.Fatalf("exit %d, output %q; want seccomp mode 2", state.ExitCode(), out)
	}
	kill := []byte{0x06, 0, 0, 0, 0, 0, 0, 0x80} // SECCOMP_RET_KILL_PROCESS
	_, _, state = sealed(t, kill, "/bin/sh", "sh")
	if ws := state.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != unix.SIGSYS {
		t.Errorf("a filter that kills everything gave %v", state)
	}
	_, status, _ := sealed(t, []byte("not a filter."), "/bin/sh", "sh")
	if len(status) != 4 || syscall.Errno(binary.NativeEndian.Uint32(status)) != unix.EINVAL {
		t.Errorf("a broken filter gave status %v; want EINVAL", status)
	}
}

func TestFileIsSealed(t *testing.T) {
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte{0}, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing gave %v; want EPERM", err)
	}
	if again, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), os.O_WRONLY, 0); err == nil {
		defer again.Close()
		if _, err := again.Write([]byte{0}); !errors.Is(err, unix.EPERM) {
			t.Errorf("writing through a new descriptor gave %v; want EPERM", err)
		}
	}
}

func TestWatchLeavesTheChildToTheProgram(t *testing.T) {
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// The shell's child ends; the shim, having replaced the shell, waits for it and executes grep, which finds it
	// unreaped.
	script := `sh -c 'exit 7' & exec "/proc/self/fd/3" w $! /bin/grep -c zombie /proc/$!/status`
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.Output()
	if err != nil || string(out) != "1\n" {
		t.Fatalf("output %q, %v; want one zombie", out, err)
	}
}
