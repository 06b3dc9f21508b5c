package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what takes no time on an idle machine.
var patience = map[bool]time.Duration{false: 20 * time.Second, true: time.Minute}[inVM]

// A lab is a state directory of a test's own, with the shared store unless a test takes another.
type lab struct {
	t                 *testing.T
	root, state, logs string
	env               []string
}

var labs atomic.Int64

// newLab makes a lab, whose end is held to have left nothing.
func newLab(t *testing.T) *lab {
	t.Helper()
	dir := filepath.Join(base, strconv.FormatInt(labs.Add(1), 10))
	l := &lab{t: t, root: filepath.Join(base, "store"), state: filepath.Join(dir, "state"), logs: filepath.Join(dir, "logs")}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.clean()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return l
}

// clean removes the sandboxes that a test left on purpose and looks for what it left without.
func (l *lab) clean() {
	l.t.Helper()
	if ids := strings.Fields(l.run("ps", "--all", "--quiet").stdout); len(ids) > 0 {
		l.ok(append([]string{"rm", "--force"}, ids...)...)
	}
	var done struct {
		Repairs []struct{ Kind, Name, Done string }
	}
	l.json(&done, "gc")
	for _, r := range done.Repairs {
		if !(r.Kind == "users" && !strings.HasPrefix(r.Name, l.state)) { // ids are the host's: another test's may be among them
			l.t.Errorf("left behind: %+v", r)
		}
	}
	l.nothingLeft()
	for _, g := range l.cgroups() { // after gc not even the empty parent
		l.t.Errorf("cgroup left: %s", g)
	}
}

// nothingLeft fails the test for each process, cgroup, mount and file of the lab's sandboxes. The cgroup that is the
// parent of all stays until gc finds it empty.
func (l *lab) nothingLeft() {
	l.t.Helper()
	// A supervisor lets its lease go before its process has quite ended.
	l.eventually("every process is gone", func() bool { return len(processesBelow(l.state)) == 0 })
	for _, parent := range l.cgroups() {
		groups, err := filepath.Glob(parent + "/*/")
		if err != nil || len(groups) > 0 {
			l.t.Errorf("cgroups left: %v, %v", groups, err)
		}
	}
	if strings.Contains(mounts(), l.state) {
		l.t.Errorf("mounts left:\n%s", mounts())
	}
	for _, dir := range []string{l.state, l.logs} {
		for _, name := range tree(l.t, dir) {
			if name != "lock" {
				l.t.Errorf("file left: %s/%s", dir, name)
			}
		}
	}
	ranges, err := filepath.Glob("/run/mmbox/+users/*")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range ranges {
		if owner, err := os.Readlink(r); err == nil && strings.HasPrefix(owner, l.state+"/") {
			l.t.Errorf("user ids left: %s to %s", r, owner)
		}
	}
}

// cgroups returns the directories of the lab's cgroups, in every hierarchy.
func (l *lab) cgroups() []string {
	sum := sha256.Sum256([]byte(l.state))
	name := "mmbox/+" + hex.EncodeToString(sum[:4])
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			l.t.Fatal(err)
		}
		found = append(found, matches...)
	}
	return found
}

// tree lists the files and directories below a directory, itself excluded; an absent one has none.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && path != dir {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// processesBelow returns the processes that were given a state directory below dir, as "PID command line".
func processesBelow(dir string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		env, err := os.ReadFile(p + "/environ")
		if err != nil || !bytes.Contains(env, []byte("MMBOX_STATE="+dir)) || p == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		if stat, err := os.ReadFile(p + "/stat"); err != nil || bytes.Contains(stat, []byte(") Z ")) {
			continue
		}
		line, _ := os.ReadFile(p + "/cmdline")
		found = append(found, filepath.Base(p)+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
	}
	return found
}

// A result is what a command gave.
type result struct {
	args           []string
	stdout, stderr string
	code           int // 128 + n for a signal, as a shell says it
}

func (r result) String() string {
	return fmt.Sprintf("mmbox %s\nexit %d\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, r.stdout, r.stderr)
}

// command makes a command that is not started yet.
func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(mmbox, args...)
	cmd.Env = append(os.Environ(), "MMBOX_ROOT="+l.root, "MMBOX_STATE="+l.state, "MMBOX_LOGS="+l.logs)
	cmd.Env = append(cmd.Env, l.env...)
	cmd.WaitDelay = 3 * patience
	return cmd
}

func (l *lab) run(args ...string) result {
	l.t.Helper()
	return l.finish(l.command(args...))
}

func (l *lab) runWith(stdin string, args ...string) result {
	l.t.Helper()
	cmd := l.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	return l.finish(cmd)
}

// finish runs a command to its end, at most three times patience.
func (l *lab) finish(cmd *exec.Cmd) result {
	l.t.Helper()
	r := result{args: cmd.Args[1:]}
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &errs
	}
	if err := cmd.Start(); err != nil {
		l.t.Error(err)
		return r
	}
	timer := time.AfterFunc(3*patience, func() {
		l.t.Errorf("mmbox %s does not end", strings.Join(r.args, " "))
		cmd.Process.Kill()
	})
	err := cmd.Wait()
	timer.Stop()
	r.stdout, r.stderr, r.code = out.String(), errs.String(), codeOf(cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Errorf("%v: %v", r, err)
	}
	return r
}

func codeOf(cmd *exec.Cmd) int {
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// ok runs a command that must succeed and returns its standard output.
func (l *lab) ok(args ...string) string {
	l.t.Helper()
	r := l.run(args...)
	if r.code != 0 {
		l.t.Errorf("want exit 0:\n%v", r)
	}
	return r.stdout
}

// json runs a command that must succeed in JSON mode and reads its output.
func (l *lab) json(into any, args ...string) {
	l.t.Helper()
	out := l.ok(append([]string{"--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		l.t.Errorf("mmbox %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// fails runs a command that must end with a code and say each of the texts on standard error, and nothing else than
// messages of mmbox's own.
func (l *lab) fails(code int, texts []string, args ...string) result {
	l.t.Helper()
	r := l.run(args...)
	l.checkFailure(r, code, texts)
	return r
}

func (l *lab) checkFailure(r result, code int, texts []string) {
	l.t.Helper()
	if r.code != code {
		l.t.Errorf("want exit %d:\n%v", code, r)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			l.t.Errorf("standard error lacks %q:\n%v", text, r)
		}
	}
	quiet(l.t, r)
}

// quiet fails the test for a log line of a library, or a trace, on standard error.
func quiet(t *testing.T, r result) {
	t.Helper()
	for _, mark := range []string{"level=", "time=\"", "goroutine ", "panic:", "%!"} {
		if strings.Contains(r.stderr, mark) {
			t.Errorf("standard error has %q:\n%v", mark, r)
		}
	}
}

// A sandbox is what inspect shows of one, as far as tests look.
type sandbox struct {
	Status    string
	PID       int
	Requested string
	Restarts  int
	Log       string
	Cgroup    string
	Loosened  []string
	Started   time.Time
	End       *end
}

type end struct {
	ID         string
	Finished   time.Time
	ExitCode   int `json:"exit_code"`
	Signal     string
	OOMKilled  *bool    `json:"oom_killed"`
	CPUSeconds *float64 `json:"cpu_seconds"`
	MemoryPeak *uint64  `json:"memory_peak"`
	Lost       bool
}

func (l *lab) inspect(id string) sandbox {
	l.t.Helper()
	var s sandbox
	l.json(&s, "inspect", id)
	return s
}

// serve starts the probe's server and waits until it takes signals.
func (l *lab) serve(id string, flags ...string) {
	l.t.Helper()
	l.ok(append([]string{"start", "--id", id, "probe"}, flags...)...)
	l.eventually(id+" is ready", func() bool { return strings.HasPrefix(l.ok("logs", id), "ready\n") })
}

// wait runs mmbox wait for one sandbox.
func (l *lab) wait(id string) end {
	l.t.Helper()
	var list struct{ Sandboxes []end }
	l.json(&list, "wait", id)
	if len(list.Sandboxes) != 1 || list.Sandboxes[0].ID != id {
		l.t.Fatalf("wait %s gave %+v", id, list)
	}
	return list.Sandboxes[0]
}

// eventually waits until a condition holds.
func (l *lab) eventually(what string, holds func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// A live command runs while the test goes on.
type live struct {
	l     *lab
	cmd   *exec.Cmd
	out   *output
	errs  *output
	stdin io.WriteCloser
}

// begin starts a command with a pipe as its standard input.
func (l *lab) begin(args ...string) *live {
	l.t.Helper()
	c := &live{l: l, cmd: l.command(args...), out: &output{}, errs: &output{}}
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.errs
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		l.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return c
}

// says waits for a text on standard output.
func (c *live) says(text string) {
	c.l.t.Helper()
	c.l.eventually(fmt.Sprintf("%v says %q; so far %q, %q", c.cmd.Args, text, c.out, c.errs), func() bool { return strings.Contains(c.out.String(), text) })
}

// end waits for the command and returns its result.
func (c *live) end() result {
	c.l.t.Helper()
	c.stdin.Close()
	timer := time.AfterFunc(patience, func() {
		c.l.t.Errorf("%v does not end", c.cmd.Args)
		c.cmd.Process.Kill()
	})
	defer timer.Stop()
	var exit *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		c.l.t.Error(err)
	}
	return result{c.cmd.Args[1:], c.out.String(), c.errs.String(), codeOf(c.cmd)}
}

func (c *live) signal(s syscall.Signal) {
	c.l.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.l.t.Error(err)
	}
}
