package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The life of a detached sandbox: each verb, twice where doing it twice must do nothing.
func TestLifeOfDetachedSandbox(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	first := l.inspect("server")
	l.ok("start", "--id", "server", "probe") // runs already
	if s := l.inspect("server"); s.PID != first.PID || s.Status != "running" || len(s.Loosened) != 0 || time.Since(s.Started) < 0 {
		t.Errorf("start of what runs: %+v", s)
	}
	l.fails(1, []string{"server", "is running", "mmbox stop"}, "rm", "server")
	l.fails(1, []string{"server", "probe"}, "start", "--id", "server", "shell", "--entrypoint", "infer")

	l.ok("pause", "server")
	if s := l.inspect("server"); s.Status != "paused" {
		t.Errorf("after pause: %+v", s)
	}
	l.fails(1, []string{"server", "paused", "mmbox resume"}, "pause", "server")
	l.fails(125, []string{"server", "paused", "mmbox resume"}, "exec", "server", "/probe", "exit", "0")
	l.ok("resume", "server")
	l.fails(1, []string{"server", "not paused"}, "resume", "server")
	if r := l.run("exec", "server", "/probe", "exit", "5"); r.code != 5 {
		t.Errorf("exec:\n%v", r)
	}

	l.ok("restart", "server")
	if s := l.inspect("server"); s.PID == first.PID || s.Restarts != 1 || s.Status != "running" {
		t.Errorf("after restart: %+v", s)
	}
	l.eventually("the restarted program is ready", func() bool { return strings.Count(l.ok("logs", "server"), "ready\n") == 2 })
	l.ok("stop", "server")
	l.ok("stop", "server") // has ended already
	l.ok("stop", "nobody")
	s := l.inspect("server")
	if s.Status != "stopped" || s.End == nil || s.End.ExitCode != 42 || s.End.Signal != "" || *s.End.OOMKilled || s.End.Finished.Before(s.Started) {
		t.Errorf("after stop: %+v %+v", s, s.End)
	}
	l.fails(1, []string{"not running"}, "pause", "server")
	l.fails(125, []string{"not running"}, "exec", "server", "/probe", "exit", "0")
	if out := l.ok("ps"); strings.Contains(out, "server") {
		t.Errorf("ps lists what has ended:\n%s", out)
	}
	l.ok("rm", "server")
	l.ok("rm", "server")
	l.fails(1, []string{`"server"`, "no such sandbox", "mmbox ps"}, "inspect", "server")
	l.nothingLeft()
}

// Stop by force: a program that takes no notice.
func TestStopByForce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server", "--stop-signal", "HUP") // the probe prints it and goes on
	began := time.Now()
	l.ok("stop", "--time", "300ms", "server")
	if e := l.wait("server"); e.ExitCode != 137 || e.Signal != "SIGKILL" || *e.OOMKilled {
		t.Errorf("%+v", e)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("killed after %v already", took)
	}
	if log := l.ok("logs", "server"); !strings.Contains(log, "SIGHUP") {
		t.Errorf("log: %q", log)
	}
	// A paused sandbox is stopped too.
	l.serve("frozen")
	l.ok("pause", "frozen")
	l.ok("stop", "frozen")
	if e := l.wait("frozen"); e.ExitCode != 42 {
		t.Errorf("paused, then stopped: %+v", e)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	l.fails(124, []string{"time"}, "wait", "--timeout", "50ms", "server")
	waiters := make([]*live, 3)
	for i := range waiters {
		waiters[i] = l.begin("wait", "server")
	}
	l.ok("kill", "-s", "TERM", "server")
	for _, w := range waiters {
		if r := w.end(); r.code != 0 || strings.Join(strings.Fields(r.stdout), " ") != "server 42" {
			t.Errorf("%v", r)
		}
	}
	l.fails(1, []string{`"nobody"`, "no such sandbox"}, "wait", "nobody")
}

// A detached sandbox's end: by itself, by a signal, by a fault.
func TestRecordedEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, c := range []struct {
		program string
		code    int
		signal  string
	}{
		{"exit 0", 0, ""},
		{"exit 7", 7, ""},
		{"crash", 139, "SIGSEGV"},
	} {
		r := l.run(append([]string{"run", "--keep", "--id", "ended", "probe", "/probe"}, strings.Fields(c.program)...)...)
		if r.code != c.code {
			t.Errorf("%s: want exit %d:\n%v", c.program, c.code, r)
		}
		s := l.inspect("ended")
		if s.End == nil || s.End.ExitCode != c.code || s.End.Signal != c.signal || *s.End.OOMKilled || s.Started.IsZero() || s.End.Finished.Before(s.Started) {
			t.Errorf("%s: %+v %+v", c.program, s, s.End)
		}
		l.ok("rm", "ended")
	}
	l.nothingLeft()
}

func TestLogs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("counter", "rootfs: [{dir: root}]\nrun: {serve: {args: [/probe, count, \"40\", \"20\"], protocol: lines}}\n")
	l.ok("start", "counter")
	follow := l.begin("logs", "--follow", "counter")
	follow.says("line 3\n")
	var all strings.Builder
	for i := range 40 {
		fmt.Fprintf(&all, "line %d\n", i+1)
	}
	if r := follow.end(); r.code != 0 || r.stdout != all.String() {
		t.Errorf("logs -f:\n%v", r)
	}
	if out := l.ok("logs", "counter"); out != all.String() { // both streams, in the order they came
		t.Errorf("logs: %q", out)
	}
	for n, want := range map[string]string{"0": "", "1": "line 40\n", "3": "line 38\nline 39\nline 40\n", "1000": all.String()} {
		if out := l.ok("logs", "-n", n, "counter"); out != want {
			t.Errorf("logs -n %s: %q", n, out)
		}
	}
	l.fails(1, []string{"nobody"}, "logs", "nobody")
	l.ok("rm", "counter")
}

func TestLabelsSelect(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("one", "--label", "tier=a")
	l.serve("two", "--label", "tier=b", "--label", "big=")
	for selector, want := range map[string]string{"tier=a": "one\n", "tier": "one\ntwo\n", "big": "two\n", "tier=c": ""} {
		if out := l.ok("ps", "-q", "--label", selector); out != want {
			t.Errorf("ps --label %s: %q", selector, out)
		}
	}
}
