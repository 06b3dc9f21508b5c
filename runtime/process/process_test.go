package process

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBegan(t *testing.T) {
	own, err := Began(os.Getpid())
	if err != nil || own == 0 {
		t.Fatalf("began at %d, %v", own, err)
	}
	if first, err := Began(1); err != nil || first >= own {
		t.Errorf("process 1 began at %d, %v, and this one at %d", first, err, own)
	}
	if _, err := Began(0); err == nil {
		t.Error("there is a process 0")
	}
}

func TestCatches(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
	if !Catches(os.Getpid(), unix.SIGUSR1) {
		t.Error("a signal with a handler is not caught")
	}
	plain := exec.Command("/bin/sleep", "100")
	if err := plain.Start(); err != nil {
		t.Fatal(err)
	}
	defer plain.Wait()
	defer plain.Process.Kill()
	if Catches(plain.Process.Pid, unix.SIGTERM) {
		t.Error("sleep catches SIGTERM")
	}
	if !Catches(1<<30, unix.SIGTERM) {
		t.Error("of a process that cannot be looked at, the signal itself is the better choice")
	}
}

func TestCatchesWhatIsBlocked(t *testing.T) {
	waits := exec.Command("/usr/bin/env", "--block-signal=TERM", "/bin/sleep", "100")
	if err := waits.Start(); err != nil {
		t.Fatal(err)
	}
	defer waits.Wait()
	defer waits.Process.Kill()
	for exe := ""; exe == "" || strings.HasSuffix(exe, "/env"); {
		exe, _ = os.Readlink("/proc/" + strconv.Itoa(waits.Process.Pid) + "/exe")
	}
	if !Catches(waits.Process.Pid, unix.SIGTERM) {
		t.Error("a signal that is kept blocked is not caught")
	}
	// A shell that forks all the time blocks signals for moments, and catches none.
	forks := exec.Command("/bin/busybox", "sh", "-c", "while :; do /bin/true; done")
	if err := forks.Start(); err != nil {
		t.Fatal(err)
	}
	defer forks.Wait()
	defer forks.Process.Kill()
	for range 300 {
		if Catches(forks.Process.Pid, unix.SIGTERM) {
			t.Fatal("a signal that is blocked for a moment is taken for caught")
		}
	}
}

func TestFatal(t *testing.T) {
	for s, want := range map[unix.Signal]bool{unix.SIGTERM: true, unix.SIGUSR1: true, unix.SIGCHLD: false, unix.SIGWINCH: false, unix.SIGKILL: false} {
		if Fatal(s) != want {
			t.Errorf("%v: %t", s, Fatal(s))
		}
	}
}
