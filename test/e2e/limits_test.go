package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// read reads what the probe printed.
func read[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("%v\n%v", err, r)
	}
	return v
}

// A program that allocates past its memory is killed, and every verb that tells of its end says why.
func TestMemoryLimitKillsAndIsReported(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := l.run("run", "--keep", "--id", "bomb", "--memory", "24Mi", "probe", "/probe", "alloc", "128")
	if r.code != 137 || strings.Contains(r.stdout, "allocated") || !strings.Contains(r.stderr, "memory") {
		t.Errorf("want exit 137 and a word on memory:\n%v", r)
	}
	for what, e := range map[string]*end{"inspect": l.inspect("bomb").End, "wait": new(l.wait("bomb"))} {
		if e == nil || e.ExitCode != 137 || e.Signal != "SIGKILL" || e.OOMKilled == nil || !*e.OOMKilled {
			t.Errorf("%s says %+v", what, e)
		}
	}
	if list := l.ok("ps", "--all"); !strings.Contains(list, "out of memory") {
		t.Errorf("ps says nothing of memory:\n%s", list)
	}
	// The same program inside its limit.
	if r := l.run("run", "--memory", "64Mi", "probe", "/probe", "alloc", "32"); r.code != 0 || r.stdout != "allocated 32 MiB\n" {
		t.Errorf("inside its limit:\n%v", r)
	}
}

// Detached: the program itself is killed, or one that exec put beside it; a program inside its limit ends as it likes.
func TestMemoryLimitOfDetachedSandboxIsReported(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("bomb", "rootfs: [{dir: root}]\nrun: {serve: {args: [/probe, alloc, \"128\"], protocol: lines}}\nresources: {memory: 24Mi}\n")
	l.ok("start", "bomb")
	if e := l.wait("bomb"); e.ExitCode != 137 || e.Signal != "SIGKILL" || e.OOMKilled == nil || !*e.OOMKilled {
		t.Errorf("%+v", e)
	}
	l.ok("rm", "bomb")
	l.ok("remove", "bomb")

	l.root = base + "/store"
	l.serve("server")
	if r := l.run("exec", "server", "/probe", "alloc", "128"); r.code != 137 {
		t.Errorf("want exit 137 of exec:\n%v", r)
	}
	l.ok("stop", "server")
	if e := l.wait("server"); e.OOMKilled == nil || !*e.OOMKilled {
		t.Errorf("the end says nothing of the kill: %+v", e)
	}
	l.serve("modest")
	l.ok("stop", "modest")
	if e := l.wait("modest"); e.ExitCode != 42 || e.OOMKilled == nil || *e.OOMKilled || e.MemoryPeak != nil && *e.MemoryPeak > 32<<20 {
		t.Errorf("a program that needs little: %+v", e)
	}
}

// The limit is held against what the same program gets outside it at the same time: on a busy machine neither has more.
func TestCPULimit(t *testing.T) {
	l := newLab(t)
	const quota, seconds = 0.4, "4"
	type got struct{ CPU, Wall float64 }
	for attempt := 1; ; attempt++ {
		twin := exec.Command(probe, "spin", seconds)
		var free output
		twin.Stdout = &free
		if err := twin.Start(); err != nil {
			t.Fatal(err)
		}
		r := l.run("run", "--keep", "--id", "spin", "--cpu", "0.4", "probe", "/probe", "spin", seconds)
		if err := twin.Wait(); err != nil {
			t.Fatal(err)
		}
		inside := read[got](t, r)
		outside := read[got](t, result{stdout: free.String()})
		share, most := inside.CPU/inside.Wall, outside.CPU/outside.Wall
		t.Logf("inside %.3f, limit %.3f, outside %.3f cores", share, quota, most)
		if share > quota*1.10 {
			t.Errorf("the sandbox got %.3f cores, its limit is %.3f", share, quota)
		}
		e := l.inspect("spin").End
		if e == nil || e.CPUSeconds == nil || *e.CPUSeconds < inside.CPU*0.9 || *e.CPUSeconds > inside.CPU*2+1 {
			t.Errorf("inspect says %+v, the program %.2f s", e, inside.CPU)
		}
		l.ok("rm", "spin")
		if share >= quota*0.90 {
			return
		}
		if most < 0.9 && attempt < 4 {
			continue // the machine had no core to spare: what it gave shows nothing
		}
		// The lower bound in proportion to what an unlimited program got.
		if share < quota*0.90*min(1, most) {
			t.Errorf("the sandbox got %.3f cores of %.3f, an unlimited program %.3f", share, quota, most)
		}
		return
	}
}

func TestForkBombStopsAtLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.begin("run", "--pids", "20", "-e", "STAY=1", "probe", "/probe", "fork", "64")
	c.says("}")
	// The bomb stands: the host forks as before.
	if out, err := exec.Command("/bin/busybox", "echo", "fine").Output(); err != nil || string(out) != "fine\n" {
		t.Errorf("the host: %q, %v", out, err)
	}
	got := read[struct {
		Children, Threads int
		Refusal           string
	}](t, c.end())
	if got.Refusal != "EAGAIN" || got.Children+got.Threads != 20 {
		t.Errorf("got %+v, want 20 in all", got)
	}
	free := read[struct{ Children int }](t, l.run("run", "--pids", "80", "probe", "/probe", "fork", "30"))
	if free.Children != 30 {
		t.Errorf("inside its limit the program made %d children of 30", free.Children)
	}
}

func TestTmpFillsAtLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	type got struct {
		Written int
		Refusal string
	}
	for _, dir := range []string{"/tmp", "/dev/shm"} {
		for _, size := range []struct {
			flag  string
			bytes int
		}{{"1Mi", 1 << 20}, {"4Mi", 4 << 20}} {
			v := read[got](t, l.run("run", "--tmp", size.flag, "probe", "/probe", "fill", dir))
			if v.Refusal != "ENOSPC" || v.Written != size.bytes {
				t.Errorf("%s of %s took %+v", dir, size.flag, v)
			}
		}
	}
	// What fills /tmp is the sandbox's own memory.
	if r := l.run("run", "--tmp", "64Mi", "--memory", "16Mi", "probe", "/probe", "fill", "/tmp"); r.code != 137 {
		t.Errorf("more in /tmp than memory allows:\n%v", r)
	}
}
