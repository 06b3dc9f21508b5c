package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rounds scales a number of repetitions down where code runs many times slower.
func rounds(n int) int {
	if inVM {
		return max(2, n/5)
	}
	return n
}

// moment is a random time within what a command needs to do its work.
func moment() time.Duration {
	most := 80 * time.Millisecond
	if inVM {
		most *= 15
	}
	return rand.N(most)
}

func sleepMoment() { time.Sleep(moment()) }

// kill9 starts a command and kills it at a random moment. It says whether it was still there.
func (l *lab) kill9(args ...string) bool {
	l.t.Helper()
	c := l.begin(args...)
	sleepMoment()
	if err := c.cmd.Process.Kill(); err != nil && err != os.ErrProcessDone {
		l.t.Error(err)
	}
	return c.end().code == 137
}

// gone waits until no process of the lab's is left: those of a killed command die by the kernel's hand, at once, but not
// in the instant that kill returns.
func (l *lab) gone() {
	l.t.Helper()
	l.eventually("every process of the sandbox is gone", func() bool {
		return len(processesBelow(l.state)) == 0 && len(l.members()) == 0
	})
}

// members returns the processes in the lab's cgroups.
func (l *lab) members() []string {
	var pids []string
	for _, g := range l.cgroups() {
		for _, file := range tree(l.t, g) {
			if strings.HasSuffix(file, "cgroup.procs") {
				content, _ := os.ReadFile(g + "/" + file) // an absent group has none
				pids = append(pids, strings.Fields(string(content))...)
			}
		}
	}
	return pids
}

// repaired runs gc and returns what it says it did. A second gc must find nothing to do.
func (l *lab) repaired() []string {
	l.t.Helper()
	var lines []string
	for i := range 2 {
		var done struct {
			Repairs []struct{ Kind, Name, Done string }
		}
		l.json(&done, "gc")
		for _, r := range done.Repairs {
			switch {
			case r.Kind == "users" && !strings.HasPrefix(r.Name, l.state):
			case i == 1:
				l.t.Errorf("a second gc still repairs %+v", r)
			default:
				lines = append(lines, fmt.Sprintf("%s %s: %s", r.Kind, r.Name, r.Done))
			}
		}
	}
	return lines
}

func TestKilledRunLeavesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	killed := 0
	for range rounds(25) {
		if l.kill9("run", "shell", "/bin/sleep", "60") {
			killed++
		}
		l.gone()
		existed := tree(t, l.state)
		repairs := l.repaired()
		if len(existed) > 1 && len(repairs) == 0 {
			t.Errorf("there was %v, and gc said nothing", existed)
		}
		l.nothingLeft()
	}
	if killed == 0 {
		t.Error("no command was killed: the test shows nothing")
	}
}

func TestKilledStartCanBeRepaired(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for range rounds(25) {
		l.kill9("start", "--id", "server", "shell", "--entrypoint", "infer")
		// Either it had handed over, and the sandbox runs or has ended, or the sandbox is gone, or gc says what it did.
		l.eventually("the sandbox has come up or gone", func() bool {
			return !strings.Contains(l.run("ps", "--all").stdout, "creating")
		})
		l.repaired()
		l.ok("rm", "--force", "server")
		l.gone()
		l.repaired()
		l.nothingLeft()
	}
}

// TestKilledSupervisor kills the process that waits for a detached sandbox's end.
func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for range rounds(5) {
		l.ok("start", "--id", "server", "probe")
		pid := l.inspect("server").PID
		if err := syscall.Kill(parent(t, pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		l.gone()
		l.eventually("status is lost", func() bool { return l.inspect("server").Status == "lost" })
		if repairs := l.repaired(); len(repairs) != 1 || !strings.Contains(repairs[0], "sandbox server") || !strings.Contains(repairs[0], "lost") {
			t.Errorf("gc says %q", repairs)
		}
		if s := l.inspect("server"); s.Status != "stopped" || s.End == nil || !s.End.Lost || s.End.ExitCode != 125 {
			t.Errorf("after gc: %+v %+v", s, s.End)
		}
		l.ok("rm", "server")
		l.nothingLeft()
	}
	// The next start repairs too, without gc.
	l.ok("start", "--id", "server", "probe")
	if err := syscall.Kill(parent(t, l.inspect("server").PID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.ok("start", "--id", "server", "probe")
	if s := l.inspect("server"); s.Status != "running" {
		t.Errorf("started again: %+v", s)
	}
	l.ok("rm", "--force", "server")
	l.nothingLeft()
}

func parent(t *testing.T, pid int) (ppid int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var state string
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil || ppid < 2 {
		t.Fatalf("parent of %d: %d, %v", pid, ppid, err)
	}
	return ppid
}

// TestKilledExec kills exec at random moments; the sandbox goes on, and what exec started does not.
func TestKilledExec(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.ok("start", "--id", "server", "probe")
	before := len(l.members())
	for range rounds(15) {
		l.kill9("exec", "server", "/probe", "sleep", "60")
		l.eventually("the program of exec is gone", func() bool { return len(l.members()) == before })
	}
	if s := l.inspect("server"); s.Status != "running" {
		t.Errorf("the sandbox: %+v", s)
	}
	if repairs := l.repaired(); len(repairs) != 0 {
		t.Errorf("gc says %q", repairs)
	}
	if out := l.ok("exec", "server", "/probe", "count", "1"); out != "line 1\n" {
		t.Errorf("exec then gives %q", out)
	}
}

// TestKilledStop kills the verbs that end a sandbox; each can be called again.
func TestKilledStop(t *testing.T) {
	t.Parallel()
	for _, verb := range [][]string{{"stop"}, {"rm", "--force"}, {"restart"}, {"pause"}, {"kill"}} {
		t.Run(verb[0], func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			for range rounds(6) {
				l.ok("start", "--id", "server", "probe")
				l.kill9(append(verb, "server")...)
				l.repaired()
				l.ok("stop", "server")
				l.ok("rm", "server")
				l.gone()
				l.repaired()
				l.nothingLeft()
			}
		})
	}
}

// TestKilledInstall kills install; then gc frees what it left, and install works.
func TestKilledInstall(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.root = l.state + "-store"
	for range rounds(10) {
		l.kill9("install", base+"/models/shell")
		l.ok("gc")
		l.ok("install", base+"/models/shell")
		if r := l.runWith("x\n", "infer", "shell"); r.stdout != "got x\n" {
			t.Errorf("%v", r)
		}
		l.ok("remove", "shell")
		l.ok("gc")
		for _, name := range tree(t, l.root) {
			if strings.Contains(name, "/") && !strings.HasPrefix(name, "filters/") && name != "blobs/sha256" && name != "trees/sha256" && name != "trees/sources" && name != "models/shell" {
				t.Errorf("left in the store: %s", name)
			}
		}
	}
}
