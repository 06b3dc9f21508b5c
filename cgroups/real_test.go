package cgroups

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary started with this variable is a process to put into a group. Each waits for a byte on stdin, so that
// it is in its group before it does anything.
const child = "MMBOX_TEST_CHILD"

func TestMain(m *testing.M) {
	kind := os.Getenv(child)
	if kind == "" {
		os.Exit(m.Run())
	}
	if _, err := bufio.NewReader(os.Stdin).ReadByte(); err != nil {
		os.Exit(1)
	}
	switch kind {
	case "sleep":
		time.Sleep(time.Minute)
	case "spin":
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		}
	case "allocate": // 64 MiB, which no test allows
		memory := make([]byte, 64<<20)
		for i := 0; i < len(memory); i += 4096 {
			memory[i] = 1
		}
	case "fork": // families that live on through new processes alone; the group's pids limit and a minute bound them
		script := `end=$(($(date +%s)+60)); f() { while [ $(date +%s) -lt $end ]; do (f2 &) ; sleep 0.01; done; }; f2() { sleep 0.02; sleep 0.02; }; f & f & f & f & wait`
		if err := syscall.Exec("/bin/sh", []string{"sh", "-c", script}, os.Environ()); err != nil {
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// realGroup makes a group on this host, below /mmbox, and takes it away when the test ends. Limits that a test needs
// are written here: the package itself writes none.
func realGroup(t *testing.T, files map[string]string) Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a cgroup")
	}
	h := detect(t, DefaultFS)
	if err := h.Check("cpu", "memory", "pids", "freezer"); err != nil {
		t.Fatal(err)
	}
	g := group(t, h, fmt.Sprintf("/mmbox/test-%d-%s", os.Getpid(), strings.ToLower(t.Name())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(g.Kill(ctx), g.Remove()); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	for _, dir := range realDirs(h, g) {
		parent := filepath.Dir(dir)
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		if h.Mode == V2 {
			for _, d := range []string{string(h.FS), parent} {
				if err := write(filepath.Join(d, "cgroup.subtree_control"), "+cpu +memory +pids"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range files {
		controller, _, _ := strings.Cut(name, ".")
		if h.Mode == V2 != strings.HasPrefix(value, "v2 ") {
			continue
		}
		dir, ok := g.dir(controller)
		if !ok {
			t.Fatalf("no %s group", controller)
		}
		if err := write(filepath.Join(dir, name), strings.TrimPrefix(value, "v2 ")); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func realDirs(h Host, g Group) []string {
	if h.Mode == V2 {
		return []string{filepath.Join(string(h.FS), g.path)}
	}
	var dirs []string
	seen := map[string]bool{}
	for _, c := range []string{"cpu", "cpuacct", "memory", "pids", "freezer"} {
		if dir := filepath.Join(h.Controllers[c], g.path); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// start runs a child in the group. It is reaped when the test ends, if not before.
func start(t *testing.T, g Group, kind string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), child+"="+kind)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before realGroup's, which a frozen child would make wait for ever
		if cmd.ProcessState == nil {
			if err := errors.Join(cmd.Process.Kill(), setFrozen(g.freezeFiles(), false)); err != nil {
				t.Error(err)
			}
			cmd.Wait()
		}
	})
	for _, dir := range g.dirs() {
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(stdin, "x"); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func killedBy(t *testing.T, cmd *exec.Cmd) syscall.Signal {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the child ended with %v", err)
	}
	return exit.Sys().(syscall.WaitStatus).Signal()
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func stats(t *testing.T, g Group) Stats {
	t.Helper()
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRealKill(t *testing.T) {
	g := realGroup(t, nil)
	one, two := start(t, g, "sleep"), start(t, g, "sleep")
	if pids, err := g.PIDs(); err != nil || len(pids) != 2 {
		t.Fatalf("processes %v, want two; error %v", pids, err)
	}
	if err := g.Remove(); !errors.Is(err, ErrBusy) {
		t.Errorf("remove with processes: %v", err)
	}
	if err := g.Kill(soon(t)); err != nil {
		t.Fatal(err)
	}
	if pids, err := g.PIDs(); err != nil || len(pids) != 0 {
		t.Errorf("processes %v after kill, error %v", pids, err)
	}
	for _, cmd := range []*exec.Cmd{one, two} {
		if s := killedBy(t, cmd); s != syscall.SIGKILL {
			t.Errorf("signal %v", s)
		}
	}
	if err := errors.Join(g.Kill(soon(t)), g.Remove(), g.Remove(), g.Kill(soon(t))); err != nil || g.Exists() {
		t.Errorf("kill and remove, twice: %v; exists: %v", err, g.Exists())
	}
}

func TestRealKillOfForkingFamilies(t *testing.T) {
	g := realGroup(t, map[string]string{"pids.max": pidsMax(t)})
	cmd := start(t, g, "fork")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		pids, err := g.PIDs()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the family did not grow: %v %v", pids, err)
		}
		if len(pids) > 8 {
			break
		}
	}
	if err := g.Kill(soon(t)); err != nil {
		t.Fatal(err)
	}
	killedBy(t, cmd)
	time.Sleep(100 * time.Millisecond) // a member that got away would have had children by now
	if pids, err := g.PIDs(); err != nil || len(pids) != 0 {
		t.Errorf("processes %v after kill, error %v", pids, err)
	}
}

// pidsMax is the same on both versions; the mark is for realGroup.
func pidsMax(t *testing.T) string {
	if detect(t, DefaultFS).Mode == V2 {
		return "v2 64"
	}
	return "64"
}

func TestRealFreezeThawKillFrozen(t *testing.T) {
	g := realGroup(t, nil)
	cmd := start(t, g, "spin")
	if err := g.Freeze(soon(t)); err != nil {
		t.Fatal(err)
	}
	if is, err := g.Frozen(); !is || err != nil {
		t.Errorf("frozen: %v, %v", is, err)
	}
	frozen := *stats(t, g).CPUUsage
	time.Sleep(100 * time.Millisecond)
	if now := *stats(t, g).CPUUsage; now != frozen {
		t.Errorf("frozen, it used %v of processor time", now-frozen)
	}
	if err := g.Thaw(); err != nil {
		t.Fatal(err)
	}
	if is, err := g.Frozen(); is || err != nil {
		t.Errorf("thawed, yet frozen: %v, %v", is, err)
	}
	for deadline := time.Now().Add(10 * time.Second); *stats(t, g).CPUUsage <= frozen+10*time.Millisecond; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("thawed, it does not run")
		}
	}
	if err := g.Freeze(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(soon(t)); err != nil {
		t.Fatal(err)
	}
	if s := killedBy(t, cmd); s != syscall.SIGKILL {
		t.Errorf("signal %v", s)
	}
}

func TestRealOOM(t *testing.T) {
	const limit = 16 << 20
	g := realGroup(t, map[string]string{
		"memory.limit_in_bytes": strconv.Itoa(limit),
		"memory.max":            "v2 " + strconv.Itoa(limit),
		"memory.swap.max":       "v2 0",
	})
	if dir, ok := g.dir("memory"); ok && present(dir, "memory.memsw.limit_in_bytes") {
		if err := write(filepath.Join(dir, "memory.memsw.limit_in_bytes"), strconv.Itoa(limit)); err != nil {
			t.Fatal(err)
		}
	}
	if n, ok, err := g.OOMKills(); n != 0 || !ok || err != nil {
		t.Fatalf("before: %d %v %v", n, ok, err)
	}
	cmd := start(t, g, "allocate")
	if s := killedBy(t, cmd); s != syscall.SIGKILL {
		t.Errorf("signal %v", s)
	}
	if n, ok, err := g.OOMKills(); n != 1 || !ok || err != nil {
		t.Errorf("after: %d %v %v, want 1", n, ok, err)
	}
	s := stats(t, g)
	if *s.MemoryLimitBytes != limit || *s.OOMKills != 1 {
		t.Errorf("figures %s", show(s))
	}
	// Version 2 counts a page before it refuses it: the peak may stand a little above the limit.
	if s.MemoryPeakBytes == nil { // Linux before 5.19
		if g.host.Mode != V2 {
			t.Error("no peak on version 1")
		}
	} else if *s.MemoryPeakBytes > limit+1<<20 || *s.MemoryPeakBytes < limit/2 {
		t.Errorf("peak %d bytes, limit %d", *s.MemoryPeakBytes, limit)
	}
}

// On a hybrid host a runtime puts the sandbox into the version 2 hierarchy too, which then kills.
func TestRealKillOnHybrid(t *testing.T) {
	g := realGroup(t, nil)
	if g.host.Mode != Hybrid {
		t.Skipf("this host is %s, not hybrid", g.host.Mode)
	}
	dir := filepath.Join(g.host.mounts[len(g.host.mounts)-1], g.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := start(t, g, "sleep")
	if err := errors.Join(g.Freeze(soon(t)), g.Kill(soon(t))); err != nil {
		t.Fatal(err)
	}
	if s := killedBy(t, cmd); s != syscall.SIGKILL {
		t.Errorf("signal %v", s)
	}
	if err := g.Remove(); err != nil || isDir(dir) {
		t.Errorf("remove: %v", err)
	}
}

func TestRealWaitEmpty(t *testing.T) {
	g := realGroup(t, nil)
	cmd := start(t, g, "sleep")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.WaitEmpty(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a process: %v", err)
	}
	done := make(chan error)
	go func() { done <- g.WaitEmpty(soon(t)) }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killedBy(t, cmd)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRealFigures(t *testing.T) {
	quota := map[string]string{"cpu.cfs_quota_us": "20000", "cpu.max": "v2 20000 100000"}
	g := realGroup(t, quota)
	start(t, g, "spin")
	var s Stats
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s = stats(t, g); *s.CPUThrottledPeriods >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never throttled: %s", show(s))
		}
	}
	if *s.CPUThrottled <= 0 || *s.CPUPeriods < 3 || *s.CPUUsage <= 0 || *s.MemoryBytes == 0 || *s.PIDs == 0 || *s.PIDsLimit != Unlimited || *s.MemoryLimitBytes != Unlimited {
		t.Errorf("figures %s", show(s))
	}
	if err := g.Kill(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRealStats(b *testing.B) {
	h, err := Detect(DefaultFS)
	if err != nil {
		b.Fatal(err)
	}
	g, err := h.Group("/mmbox")
	if err != nil {
		b.Fatal(err)
	}
	if !g.Exists() {
		b.Skip("there is no group /mmbox now")
	}
	for b.Loop() {
		if _, err := g.Stats(); err != nil {
			b.Fatal(err)
		}
	}
}
