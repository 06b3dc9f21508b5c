package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What a review that tried to break out found, each as a test.

// From an open directory a program would reach all below it.
func TestDirectoryIsNoStream(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, args := range [][]string{{"run", "shell", "busybox", "cat", "/proc/self/fd/0/etc/hostname"}, {"infer", "shell"}} {
		cmd := l.command(args...)
		dir, err := os.Open("/")
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cmd.Stdin = dir
		l.checkFailure(l.finish(cmd), 125, []string{"standard input is a directory", "give a file"})
	}
	l.fails(125, []string{"is a directory"}, "infer", "--in", "/", "shell")
}

// Cgroups are named after the state directory, which may have several names.
func TestStateThroughALink(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve("server")
	alias := l.state + "-alias"
	if err := os.Symlink(l.state, alias); err != nil {
		t.Fatal(err)
	}
	through := *l
	through.env = []string{"MMBOX_STATE=" + alias}
	through.ok("pause", "server")
	if s := l.inspect("server"); s.Status != "paused" {
		t.Errorf("status %s", s.Status)
	}
	through.ok("rm", "--force", "server")
}

// A sandbox's user is nobody on the host: a store that it cannot reach is named.
func TestStoreOutOfReach(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("mine", probeRun)
	store := l.root
	if err := os.Chmod(store, 0o700); err != nil {
		t.Fatal(err)
	}
	l.fails(125, []string{store + " cannot be searched by others", "chmod o+x " + store}, "run", "mine", "/probe", "echo")
}

const probeRun = `rootfs: [{dir: root}]
run:
  infer: {args: [/probe, echo]}
`

// Limits of the caller's own are no reason to fail.
func TestFewFilesOfTheCallers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	cmd := exec.Command("/bin/sh", "-c", `ulimit -n 256; exec "$0" run shell busybox sh -c 'ulimit -n'`, mmbox)
	cmd.Env = l.command().Env
	if r := l.finish(cmd); r.code != 0 || r.stdout != "256\n" {
		t.Errorf("%v", r)
	}
}

// Signals that the caller ignores or blocks are the program's as usual.
func TestSignalsOfTheCallers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	cmd := exec.Command("/bin/sh", "-c", `trap '' USR1 USR2 PIPE; exec "$0" run shell busybox grep -E '^Sig(Blk|Ign)' /proc/self/status`, mmbox)
	cmd.Env = l.command().Env
	if r := l.finish(cmd); r.stdout != "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" {
		t.Errorf("%v", r)
	}
}

// What nohup makes its command ignore stays ignored: it does not reach the program either.
func TestNohup(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.begin("run", "shell", "sh", "-c", "trap 'echo hung up' HUP; trap 'exit 7' TERM; echo ready; while :; do busybox sleep 1; done")
	c.says("ready")
	c.signal(unix.SIGHUP)
	c.says("hung up")
	c.signal(unix.SIGTERM)
	if r := c.end(); r.code != 7 {
		t.Errorf("%v", r)
	}
	cmd := exec.Command("/bin/sh", "-c", `trap '' HUP; "$0" run shell sh -c 'trap "echo hung up" HUP; trap "exit 7" TERM; echo ready; while :; do busybox sleep 1; done' & kill -HUP $!; busybox sleep 1; kill -HUP $!; kill -TERM $!; wait $!`, mmbox)
	cmd.Env = l.command().Env
	if r := l.finish(cmd); strings.Contains(r.stdout, "hung up") || r.code != 7 && r.code != 143 {
		t.Errorf("%v", r)
	}
}

// The binary may be replaced while a sandbox lives: the end is recorded all the same.
func TestBinaryReplaced(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	content, err := os.ReadFile(mmbox)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(filepath.Dir(l.state), "mmbox")
	if err := os.WriteFile(own, content, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(own, "start", "--id", "server", "probe")
	cmd.Env = l.command().Env
	if r := l.finish(cmd); r.code != 0 {
		t.Fatalf("%v", r)
	}
	l.eventually("server is ready", func() bool { return strings.HasPrefix(l.ok("logs", "server"), "ready\n") })
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	l.ok("stop", "server")
	if e := l.wait("server"); e.Lost || e.ExitCode != 42 {
		t.Errorf("end %+v", e)
	}
}

// What the kernel counts per user of the host, one sandbox cannot use up.
func TestQuotasOfTheHostsUser(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	out := l.ok("run", "shell", "busybox", "cat", "/proc/self/limits")
	for name, most := range map[string]string{"Max pending signals": "256", "Max msgqueue size": "0", "Max locked memory": "65536", "Max open files": "1024"} {
		_, rest, found := strings.Cut(out, name)
		if fields := strings.Fields(rest); !found || fields[0] != most || fields[1] != most {
			t.Errorf("%s is not %s:\n%s", name, most, out)
		}
	}
}
