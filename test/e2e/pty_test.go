package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is a pseudo-terminal with a command at it, as a person would have.
type terminal struct {
	*live
	master *os.File
	fd     int // of master
}

// atTerminal starts a command at a terminal of its own, of 80 columns and 24 rows, as the leader of its session. What it
// prints is in out.
func (l *lab) atTerminal(cmd *exec.Cmd) *terminal {
	l.t.Helper()
	// Not blocking, so that closing the master ends the read below.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	c := &terminal{&live{l: l, cmd: cmd, out: &output{}, errs: &output{}}, os.NewFile(uintptr(fd), "terminal"), fd}
	l.t.Cleanup(func() { c.master.Close() }) // may be closed already
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		l.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		l.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer slave.Close()
	c.resize(80, 24)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := c.master.Read(buffer)
			c.out.Write(buffer[:n])
			if err != nil { // EIO: nobody has the other end any more
				return
			}
		}
	}()
	return c
}

func (c *terminal) resize(columns, rows uint16) {
	c.l.t.Helper()
	if err := unix.IoctlSetWinsize(c.fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		c.l.t.Fatal(err)
	}
}

// cooked tells whether the terminal edits lines and makes signals of keys, as it did at first.
func (c *terminal) cooked() bool {
	c.l.t.Helper()
	mode, err := unix.IoctlGetTermios(c.fd, unix.TCGETS)
	if err != nil {
		c.l.t.Fatal(err)
	}
	const all = unix.ICANON | unix.ECHO | unix.ISIG
	return mode.Lflag&all == all
}

// types sends what a person types.
func (c *terminal) types(text string) {
	c.l.t.Helper()
	if _, err := c.master.WriteString(text); err != nil {
		c.l.t.Error(err)
	}
}

func TestRunAtTerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.atTerminal(l.command("run", "-t", "probe", "/probe", "tty"))
	c.says("terminals [0 1 2] size 80x24")
	if c.cooked() {
		t.Error("the terminal edits lines while the program has one of its own")
	}
	c.resize(132, 50)
	c.says("size 132x50")
	c.types("hello\r")
	c.says(`line "hello\n" <nil>`)
	if code := c.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, c.out)
	}
	if !c.cooked() {
		t.Error("the terminal was left in raw mode")
	}
}

// wait waits for the command, whose terminal stays open.
func (c *terminal) wait() int {
	c.l.t.Helper()
	done := make(chan struct{})
	go func() { c.cmd.Wait(); close(done) }()
	c.l.eventually(fmt.Sprintf("%v ends; so far %q", c.cmd.Args, c.out), func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	return codeOf(c.cmd)
}

// A shell with job control, Ctrl-C inside, and its exit code.
func TestShellAtTerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.atTerminal(l.command("run", "-it", "shell", "sh"))
	// What is typed while the shell changes the terminal's mode may be thrown away: a person waits for the prompt.
	prompted := func(after string) {
		l.eventually("a prompt after "+after, func() bool {
			_, rest, found := strings.Cut(c.out.String(), after)
			return found && strings.Contains(rest, "/ $ ")
		})
	}
	prompted("")
	c.types("echo $((6*7)) $(stty size)\r")
	prompted("42 24 80")
	c.types("sh -c 'echo going $((2+3)); exec sleep 100'\r")
	c.says("going 5") // printed by the job in the foreground, so that the key's signal is its own
	c.types("\x03")
	prompted("going 5")
	c.types("echo still $((1+1))\r")
	prompted("still 2")
	if out := c.out.String(); strings.Contains(out, "job control turned off") || strings.Contains(out, "can't access tty") {
		t.Errorf("no job control: %q", out)
	}
	c.types("exit 9\r")
	if code := c.wait(); code != 9 {
		t.Errorf("exit %d: %q", code, c.out)
	}
}

func TestExecAtTerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	c := l.atTerminal(l.command("exec", "-t", "server", "/probe", "tty"))
	c.says("terminals [0 1 2] size 80x24")
	c.resize(100, 30)
	c.says("size 100x30")
	c.types("\r")
	if code := c.wait(); code != 0 {
		t.Errorf("exit %d: %q", code, c.out)
	}
}

// Ctrl-C in run, with the terminal being mmbox's own: 130, and nothing is left.
func TestInterruptAtTerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, program := range []string{"sleep 100", "read line"} {
		c := l.atTerminal(l.command("run", "shell", "sh", "-c", "echo ready; "+program))
		c.says("ready")
		c.types("\x03")
		if code := c.wait(); code != 130 {
			t.Errorf("%s: exit %d: %q", program, code, c.out)
		}
		l.nothingLeft()
	}
}

// An early Ctrl-C, at any moment of a start.
func TestInterruptAtAnyMoment(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for range rounds(20) {
		c := l.begin("run", "shell", "sleep", "100")
		sleepMoment()
		c.signal(syscall.SIGINT)
		// Go's runtime has not set its handlers up in the first moments: then the signal ends the process itself.
		if r := c.end(); r.code != 130 {
			t.Errorf("want exit 130:\n%v", r)
		}
		l.gone()
		l.nothingLeft()
	}
}

// A detached sandbox outlives the terminal, and the session, that it was started from.
func TestStartSurvivesTerminal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	script := fmt.Sprintf("%s start --id server probe && echo started; exec cat", mmbox)
	cmd := l.command()
	cmd.Path, cmd.Args = "/bin/busybox", []string{"sh", "-c", script}
	c := l.atTerminal(cmd)
	c.says("started")
	c.master.Close() // the terminal is gone: SIGHUP for its session
	c.wait()
	if s := l.inspect("server"); s.Status != "running" {
		t.Errorf("after its terminal was closed: %+v %+v", s, s.End)
	}
	if log := l.ok("logs", "server"); strings.Contains(log, "SIGHUP") {
		t.Errorf("the program was told: %q", log)
	}
}
