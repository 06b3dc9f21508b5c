package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who is not root gets one clear sentence, and what only reads works.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bin := l.state + "-bin" // where nobody can execute it, wherever the tests' own lies
	if err := copyFile(mmbox, bin, nil); err != nil {
		t.Fatal(err)
	}
	asNobody := func(args ...string) result {
		cmd := l.command(args...)
		cmd.Path = bin
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return l.finish(cmd)
	}
	for _, args := range [][]string{{"run", "probe"}, {"start", "probe"}, {"infer", "probe"}, {"install", base + "/models/probe"}, {"remove", "probe"}} {
		r := asNobody(args...)
		if r.code != 1 && r.code != 125 || !strings.Contains(r.stderr, "root") {
			t.Errorf("%v", r)
		}
		quiet(t, r)
	}
	for _, args := range [][]string{{"--help"}, {"schema", "manifest"}, {"config", "show"}, {"models"}} {
		if r := asNobody(args...); r.code != 0 {
			t.Errorf("%v", r)
		}
	}
	if left := tree(t, l.state); len(left) > 0 {
		t.Errorf("state has %v", left)
	}
}

// prepared runs a command in a mount namespace of its own, which a script prepares and which ends with the command.
func (l *lab) prepared(script string, args ...string) result {
	l.t.Helper()
	cmd := l.command()
	cmd.Path = "/bin/busybox"
	cmd.Args = append([]string{"sh", "-ec", script + "\n" + `"$0" "$@"`, mmbox}, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	return l.finish(cmd)
}

func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if err := os.Mkdir(l.state, 0o755); err != nil {
		t.Fatal(err)
	}
	readOnly := "mount -t tmpfs -o ro tmpfs " + l.state
	for _, c := range []struct {
		code int
		args []string
	}{{125, []string{"run", "probe"}}, {125, []string{"infer", "probe"}}, {1, []string{"start", "probe"}}} {
		r := l.prepared(readOnly, c.args...)
		l.checkFailure(r, c.code, []string{l.state, "read-only", "--state"})
	}
	if r := l.prepared(readOnly, "ps"); r.code != 0 {
		t.Errorf("%v", r)
	}
	// The store may be read-only: running needs to write nothing there.
	if r := l.prepared("mount -o bind "+l.root+" "+l.root+"; mount -o remount,bind,ro "+l.root, "run", "probe", "/probe", "count", "1"); r.code != 0 || r.stdout != "line 1\n" {
		t.Errorf("with a read-only store:\n%v", r)
	}
	r := l.prepared("mount -o bind "+l.root+" "+l.root+"; mount -o remount,bind,ro "+l.root, "remove", "probe")
	l.checkFailure(r, 1, []string{l.root, "read-only", "--root"})
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.root = l.state + "-store"
	if err := os.Mkdir(l.root, 0o755); err != nil {
		t.Fatal(err)
	}
	// The store's file system has 1 MiB; the probe is larger. What is left after the failure is shown by the same shell,
	// since the file system ends with it.
	cmd := l.command()
	cmd.Path = "/bin/busybox"
	cmd.Args = []string{"sh", "-c", "mount -t tmpfs -o size=1m tmpfs " + l.root + `; "$0" install "$1"; echo code $?; "$0" gc >/dev/null 2>&1; "$0" models; du -k ` + l.root, mmbox, base + "/models/probe"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	r := l.finish(cmd)
	if !strings.Contains(r.stdout, "code 1\n") || !strings.Contains(r.stderr, "full") && !strings.Contains(r.stderr, "no space") || !strings.Contains(r.stderr, "mmbox gc") {
		t.Errorf("%v", r)
	}
	quiet(t, r)
	for _, line := range strings.Split(r.stdout, "\n") {
		if size, path, ok := strings.Cut(line, "\t"); ok && path == l.root && size != "0" {
			t.Errorf("left on the disk: %s KiB\n%v", size, r)
		}
	}
	// A full state directory.
	l.root = base + "/store"
	if err := os.Mkdir(l.state, 0o755); err != nil {
		t.Fatal(err)
	}
	r = l.prepared("mount -t tmpfs -o size=4k tmpfs "+l.state+"; dd if=/dev/zero of="+l.state+"/x bs=4k count=1 2>/dev/null", "run", "probe")
	l.checkFailure(r, 125, []string{"no space", "free some space"})
}

// A host without user namespaces. The limit is the whole system's, so only where the system is the test's own.
func TestNoUserNamespaces(t *testing.T) {
	if !inVM {
		t.Skip("changes a limit of the whole system: runs in the virtual machine only")
	}
	l := newLab(t)
	const limit = "/proc/sys/user/max_user_namespaces"
	was, err := os.ReadFile(limit)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(limit, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(limit, was, 0); err != nil {
			t.Error(err)
		}
	}()
	l.fails(125, []string{"user namespaces", "max_user_namespaces"}, "run", "probe")
	l.fails(1, []string{"user namespaces", "max_user_namespaces"}, "start", "probe")
	if r := l.run("doctor"); r.code != 1 || !strings.Contains(r.stdout, "user namespaces") {
		t.Errorf("%v", r)
	}
	r := l.run("run", "--best-effort", "--keep", "--id", "best", "probe", "/probe", "look")
	if v := read[view](t, r); r.code != 0 || !strings.Contains(r.stderr, "user namespaces") || v.UID == 0 || v.Status["CapBnd"] != "0000000000000000" {
		t.Errorf("%v", r)
	}
	if s := l.inspect("best"); len(s.Loosened) == 0 {
		t.Errorf("inspect does not say what was loosened: %+v", s)
	}
}

// The golden cases of the examples, in sandboxes. The first needs no network; the others are run where their files were
// fetched.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, needs string }{
		{"digits", "root/digits"}, {"langid", "files/lid.176.ftz"}, {"vad", "files/libonnxruntime.so"}, {"ocr", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := os.Stat(examples + "/" + c.name + "/" + c.needs); err != nil {
				if c.name == "digits" {
					t.Fatal(err)
				}
				t.Skipf("%v: models/examples/fetch %s gets it", err, c.name)
			}
			l := newLab(t)
			l.root = l.state + "-store"
			r := l.run("install", examples+"/"+c.name)
			if r.code != 0 && c.name != "digits" && strings.Contains(r.stderr, "apt-get") {
				t.Skipf("its packages cannot be reached here: %v", r)
			}
			if r.code != 0 {
				t.Fatalf("%v", r)
			}
			began := time.Now()
			var verified struct {
				Models []struct {
					OK     bool
					Golden int `json:"golden_passed"`
					Of     int `json:"golden_cases"`
				}
			}
			l.json(&verified, "verify", c.name, "--run")
			if len(verified.Models) != 1 || !verified.Models[0].OK || verified.Models[0].Golden == 0 || verified.Models[0].Golden != verified.Models[0].Of {
				t.Errorf("verify: %+v", verified)
			}
			t.Logf("%s in %v", fmt.Sprint(verified.Models), time.Since(began).Round(time.Millisecond))
			l.nothingLeft()
		})
	}
}
