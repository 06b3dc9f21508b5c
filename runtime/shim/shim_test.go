package shim

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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

// While the shim runs as a sandbox's user, others of that user must not get at its descriptors: they could write a filter
// of their own into it.
func TestShimIsOutOfReachOfItsOwnUser(t *testing.T) {
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
	cmd := &exec.Cmd{
		Path: "/proc/self/fd/" + strconv.Itoa(int(file.Fd())), Args: Seal("/bin/true", []string{"true"}, true),
		ExtraFiles:  []*os.File{file, w, r}, // the filter is a pipe: the shim waits for it
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	path := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/fd"
	look := exec.Command("/bin/sh", "-c", "ls -l "+path+"; echo x >"+path+"/5; grep -c . /proc/"+strconv.Itoa(cmd.Process.Pid)+"/environ")
	look.SysProcAttr = cmd.SysProcAttr
	out, err := look.CombinedOutput()
	if err == nil || strings.Count(string(out), "ermission denied") != 3 {
		t.Errorf("another process of the same user looked: %v\n%s", err, out)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	w.Close()
}

// The caller's blocked and ignored signals are not the program's.
func TestSealResetsSignals(t *testing.T) {
	signal.Ignore(unix.SIGUSR1)
	defer signal.Reset(unix.SIGUSR1)
	out, _, _ := sealed(t, nil, "/bin/grep", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
	if out != "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" {
		t.Errorf("the program has\n%s", out)
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

// watched has a shell replace itself by the shim, which watches what the shell had started, and then executes program.
func watched(t *testing.T, most int64, child string, program ...string) (logs [2]string, out string) {
	t.Helper()
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("old\n"); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// The child's id is known to the shell only: it stands in for the one that Watch is given here.
	args := Watch(999999, Log{Pipe: 4, File: 5, Path: path, Old: path + ".1", Size: 4, Most: most}, program[0], program)
	script := `sh -c '` + child + `' >&6 6>&- 3<&- 4<&- 5>&- & exec 6>&- 3<&3; exec /proc/self/fd/3`
	for _, a := range args[1:] {
		if a == "999999" {
			a = "$!"
		}
		script += " " + a
	}
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.ExtraFiles = []*os.File{file, r, log, w}
	cmd.Stderr = os.Stderr
	started := cmd.Start
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := started(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	for i, name := range []string{path + ".1", path} {
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		logs[i] = string(content)
	}
	return logs, stdout.String()
}

func TestWatchLeavesTheChildToTheProgram(t *testing.T) {
	logs, out := watched(t, 1<<20, "echo said; exit 7", "/bin/grep", "-c", "zombie", "/proc/$!/status")
	if out != "1\n" {
		t.Errorf("output %q; want one zombie", out)
	}
	if logs != [2]string{"", "old\nsaid\n"} {
		t.Errorf("logs %q", logs)
	}
}

func TestWatchWritesAllAndBoundsTheLog(t *testing.T) {
	logs, _ := watched(t, 1<<16, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last", "/bin/true")
	if len(logs[0]) > 1<<16 || len(logs[1]) > 1<<16 || len(logs[0]) < 1<<15 {
		t.Errorf("sizes %d and %d", len(logs[0]), len(logs[1]))
	}
	if !strings.HasSuffix(logs[1], "line 19999\nlast\n") {
		t.Errorf("the end is missing: %q", logs[1][max(0, len(logs[1])-40):])
	}
	// Nothing is lost between the two files.
	lines := strings.Split(strings.TrimSpace(logs[0]+logs[1]), "\n")
	for i := len(lines) - 2; i > 1; i-- {
		if want := "line " + strconv.Itoa(19999-(len(lines)-2-i)); lines[i] != want {
			t.Fatalf("line %d is %q, not %q", i, lines[i], want)
		}
	}
}
