package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// run passes signals on; what the program does about them is its own affair.
func TestRunForwardsSignals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.begin("run", "--id", "box", "probe", "/probe", "trap")
	c.says("ready\n")
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		c.signal(s)
		c.says(unix.SignalName(s) + "\n")
	}
	c.signal(syscall.SIGTERM)
	if r := c.end(); r.code != 42 || !strings.HasSuffix(r.stdout, "SIGTERM\n") || r.stderr != "" {
		t.Errorf("want exit 42:\n%v", r)
	}
	l.nothingLeft()
}

// A program without handlers ends as it would outside, although it is the first process of its namespace.
func TestSignalsEndProgramsWithoutHandlers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1} {
		c := l.begin("run", "shell", "sh", "-c", "echo ready; exec sleep 100")
		c.says("ready")
		c.signal(s)
		if r := c.end(); r.code != 128+int(s) {
			t.Errorf("%v: want exit %d:\n%v", s, 128+int(s), r)
		}
		l.nothingLeft()
	}
}

func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	c := l.begin("exec", "server", "/probe", "trap")
	c.says("ready\n")
	c.signal(syscall.SIGUSR1)
	c.says("SIGUSR1\n")
	c.signal(syscall.SIGTERM)
	if r := c.end(); r.code != 42 {
		t.Errorf("want exit 42:\n%v", r)
	}
	if s := l.inspect("server"); s.Status != "running" {
		t.Errorf("the sandbox: %+v", s)
	}
}

func TestKillSendsSignals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	for _, name := range []string{"USR1", "SIGUSR2", "hup", "2"} {
		l.ok("kill", "--signal", name, "server")
	}
	l.eventually("the program has four signals", func() bool {
		log := l.ok("logs", "server")
		return strings.Contains(log, "SIGUSR1") && strings.Contains(log, "SIGUSR2") && strings.Contains(log, "SIGHUP") && strings.Contains(log, "SIGINT")
	})
	l.fails(2, []string{`signal "NOSUCH"`, "SIGTERM"}, "kill", "-s", "NOSUCH", "server")
	l.ok("kill", "server")
	if e := l.wait("server"); e.ExitCode != 137 || e.Signal != "SIGKILL" || *e.OOMKilled {
		t.Errorf("after kill: %+v", e)
	}
	l.fails(1, []string{"server", "not running", "mmbox start"}, "kill", "server")
}

// Standard input may be a pipe, a file, /dev/null or closed; output a pipe that nobody reads.
func TestStandardStreams(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	long := strings.Repeat("0123456789abcdef", 1<<14) // more than any pipe holds
	if r := l.runWith(long, "run", "probe", "/probe", "echo"); r.code != 0 || r.stdout != long {
		t.Errorf("a pipe: exit %d, %d of %d bytes, %s", r.code, len(r.stdout), len(long), r.stderr)
	}
	path := l.state + "-input"
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := l.command("run", "probe", "/probe", "echo")
	cmd.Stdin = file
	if r := l.finish(cmd); r.code != 0 || r.stdout != long {
		t.Errorf("a file: exit %d, %d of %d bytes, %s", r.code, len(r.stdout), len(long), r.stderr)
	}
	if r := l.run("run", "probe", "/probe", "echo"); r.code != 0 || r.stdout != "" {
		t.Errorf("/dev/null:\n%v", r)
	}
	// Descriptors closed by the caller. A program inside finds all three open all the same.
	for _, closed := range []string{"<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"} {
		cmd := l.command()
		cmd.Path, cmd.Args = "/bin/busybox", []string{"sh", "-c", `"$0" "$@" ` + closed, mmbox, "run", "probe", "/probe", "look"}
		r := l.finish(cmd)
		if r.code != 0 {
			t.Errorf("closed %s:\n%v", closed, r)
			continue
		}
		if strings.Contains(closed, ">&- ") || closed == ">&-" {
			continue
		}
		if v := read[view](t, r); len(v.Descriptors) != 3 {
			t.Errorf("closed %s: descriptors %v", closed, v.Descriptors)
		}
	}
	l.nothingLeft()
}

// When nobody reads the output any more, the program gets SIGPIPE or EPIPE as it would outside, and mmbox ends.
func TestClosedOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := l.command("run", "probe", "/probe", "count", "100000")
	cmd.Stdout = w
	if r := l.finish(cmd); r.code == 0 {
		t.Errorf("want a failure:\n%v", r)
	}
	w.Close()
	for _, args := range [][]string{{"models"}, {"--format", "json", "models"}, {"config", "show"}, {"--help"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := l.command(args...)
		cmd.Stdout = w
		quiet(t, l.finish(cmd))
		w.Close()
	}
	l.nothingLeft()
}

// No log line of a library reaches a person, in success or failure; with --debug they do.
func TestLibrariesAreQuiet(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	for _, args := range [][]string{
		{"run", "probe", "/probe", "exit", "0"}, {"run", "probe", "/probe", "exit", "3"}, {"run", "--memory", "1Mi", "probe"},
		{"run", "--memory", "16Mi", "probe", "/probe", "alloc", "64"}, {"run", "probe", "/nothing"}, {"run", "--cpu", "0.01", "probe", "/probe", "exit", "0"},
		{"exec", "server", "/probe", "exit", "1"}, {"exec", "server", "/tmp"}, {"exec", "server", "--workdir", "/nothing", "/probe", "exit", "0"},
		{"pause", "server"}, {"exec", "server", "/probe", "exit", "0"}, {"resume", "server"}, {"inspect", "server"}, {"doctor"}, {"stop", "server"}, {"gc"},
	} {
		quiet(t, l.run(args...))
	}
	if r := l.run("--debug", "run", "probe", "/probe", "exit", "0"); r.code != 0 || !strings.Contains(r.stderr, "level=") {
		t.Errorf("--debug shows nothing of the libraries:\n%v", r)
	}
}
