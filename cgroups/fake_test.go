package cgroups

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree makes a host of files: a name that ends in / is a directory, a value "-> x" a link to x. The process ids in it
// are someone else's on this host: never Kill a group of it but through cgroup.kill.
func tree(t *testing.T, files ...map[string]string) FS {
	t.Helper()
	root := t.TempDir()
	for _, some := range files {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			path, text := filepath.Join(root, name), some[name]
			err := os.MkdirAll(filepath.Dir(path), 0o755)
			switch target, link := strings.CutPrefix(text, "-> "); {
			case strings.HasSuffix(name, "/"):
				err = errors.Join(err, os.MkdirAll(path, 0o755))
			case link:
				err = errors.Join(err, os.Symlink(target, path))
			default:
				err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return FS(root)
}

func detect(t *testing.T, root FS) Host {
	t.Helper()
	h, err := Detect(root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func group(t *testing.T, h Host, path string) Group {
	t.Helper()
	g, err := h.Group(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var (
	v2 = map[string]string{
		"cgroup.controllers": "cpuset cpu io memory pids\n",
		"cgroup.procs":       "1\n",
		"mmbox/cgroup.procs": "",
	}
	v2Sandbox = map[string]string{
		"mmbox/a/cgroup.procs":   "10\n11\n",
		"mmbox/a/cgroup.events":  "populated 1\nfrozen 0\n",
		"mmbox/a/cgroup.kill":    "",
		"mmbox/a/cgroup.freeze":  "0\n",
		"mmbox/a/cpu.stat":       "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 7\nnr_throttled 2\nthrottled_usec 500\n",
		"mmbox/a/cpu.max":        "100000 100000\n",
		"mmbox/a/cpu.pressure":   "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"mmbox/a/memory.current": "4096\n",
		"mmbox/a/memory.peak":    "8192\n",
		"mmbox/a/memory.max":     "16777216\n",
		"mmbox/a/memory.high":    "max\n",
		"mmbox/a/memory.stat":    "anon 1\n",
		"mmbox/a/memory.events":  "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 0\n",
		"mmbox/a/pids.current":   "2\n",
		"mmbox/a/pids.max":       "max\n",
	}
	v1 = map[string]string{
		"cpu,cpuacct/cgroup.procs": "1\n", "cpu": "-> cpu,cpuacct", "cpuacct": "-> cpu,cpuacct",
		"memory/cgroup.procs": "1\n", "pids/cgroup.procs": "1\n", "freezer/cgroup.procs": "1\n",
		"systemd/cgroup.procs": "1\n", "notmounted/": "",
	}
	unified   = map[string]string{"unified/cgroup.procs": "1\n", "unified/cgroup.controllers": "\n"}
	v1Sandbox = map[string]string{
		"cpu,cpuacct/mmbox/a/cgroup.procs":         "10\n",
		"cpu,cpuacct/mmbox/a/cpu.cfs_quota_us":     "100000\n",
		"cpu,cpuacct/mmbox/a/cpu.stat":             "nr_periods 7\nnr_throttled 2\nthrottled_time 500000\n",
		"cpu,cpuacct/mmbox/a/cpuacct.usage":        "3000000\n",
		"cpu,cpuacct/mmbox/a/cpuacct.usage_percpu": "1000000 2000000\n",
		"cpu,cpuacct/mmbox/a/cpuacct.stat":         "user 2\nsystem 1\n",
		"memory/mmbox/a/cgroup.procs":              "10\n11\n",
		"memory/mmbox/a/memory.stat":               "cache 1\n",
		"memory/mmbox/a/memory.oom_control":        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
		"memory/mmbox/a/memory.usage_in_bytes":     "4096\n",
		"memory/mmbox/a/memory.max_usage_in_bytes": "8192\n",
		"memory/mmbox/a/memory.limit_in_bytes":     "9223372036854771712\n",
		"memory/mmbox/a/memory.failcnt":            "0\n",
		"pids/mmbox/a/cgroup.procs":                "11\n",
		"pids/mmbox/a/pids.current":                "2\n",
		"pids/mmbox/a/pids.max":                    "16\n",
		"freezer/mmbox/a/cgroup.procs":             "",
		"freezer/mmbox/a/freezer.state":            "FROZEN\n",
	}
)

func TestDetect(t *testing.T) {
	all := map[string]string{"cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct", "memory": "memory", "pids": "pids", "freezer": "freezer"}
	for _, c := range []struct {
		name        string
		files       []map[string]string
		mode        Mode
		controllers map[string]string
		lacks       []string
	}{
		{"v2", []map[string]string{v2, {"mmbox/memory.stat": "", "mmbox/memory.high": "max", "mmbox/memory.swap.max": "max", "mmbox/cpu.pressure": "", "mmbox/cgroup.freeze": ""}}, V2,
			map[string]string{"cpuset": "", "cpu": "", "io": "", "memory": "", "pids": ""}, []string{"cgroup.kill", "memory.peak", "memory.pressure"}},
		{"v2 without a group that has memory", []map[string]string{v2}, V2,
			map[string]string{"cpuset": "", "cpu": "", "io": "", "memory": "", "pids": ""}, []string{"cgroup.kill", "cgroup.freeze", "memory.pressure", "cpu.pressure"}},
		{"v1", []map[string]string{v1, v1Sandbox}, V1, all,
			[]string{"cgroup.kill", "memory.high", "memory.pressure", "cpu.pressure"}},
		{"v1 without swap accounting", []map[string]string{v1, {"memory/x/cgroup.procs": "", "memory/x/memory.stat": "", "memory/x/memory.max_usage_in_bytes": "0"}}, V1, all,
			[]string{"cgroup.kill", "memory.high", "memory.swap.max", "memory.pressure", "cpu.pressure"}},
		{"hybrid", []map[string]string{v1, unified}, Hybrid, all, []string{"memory.high"}},
		{"hybrid with a group", []map[string]string{v1, unified, {"unified/mmbox/cgroup.procs": "", "unified/mmbox/cgroup.kill": ""}}, Hybrid, all,
			[]string{"memory.high", "memory.pressure", "cpu.pressure"}},
		{"none", nil, None, map[string]string{}, nil},
	} {
		root := tree(t, c.files...)
		h := detect(t, root)
		controllers := map[string]string{}
		for name, dir := range h.Controllers {
			rel, err := filepath.Rel(string(root), dir)
			if err != nil {
				t.Fatal(err)
			}
			controllers[name] = strings.TrimPrefix(rel, ".")
		}
		if h.Mode != c.mode || !maps.Equal(controllers, c.controllers) || !slices.Equal(h.Lacks(), c.lacks) {
			t.Errorf("%s: mode %q, controllers %v, lacks %q; want %q, %v, %q", c.name, h.Mode, controllers, h.Lacks(), c.mode, c.controllers, c.lacks)
		}
	}
	if h := detect(t, FS(filepath.Join(t.TempDir(), "absent"))); h.Mode != None {
		t.Errorf("no directory: mode %q", h.Mode)
	}
	if _, err := Detect(tree(t, unified)); err == nil {
		t.Error("version 2 mounted aside, and alone: no error")
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	need := []string{"cpu", "memory", "pids", "freezer"}
	for _, root := range []FS{tree(t, v1), tree(t, v1, unified), tree(t, v2)} {
		if err := detect(t, root).Check(need...); err != nil {
			t.Error(err)
		}
	}
	err := detect(t, tree(t, map[string]string{"cgroup.controllers": "cpu pids", "cgroup.procs": ""})).Check(need...)
	if err == nil || !strings.Contains(err.Error(), "memory") || strings.Contains(err.Error(), "cpu") {
		t.Errorf("error %v, want one that names memory alone", err)
	}
	if err := detect(t, FS(t.TempDir())).Check(); err == nil || !strings.Contains(err.Error(), "mount -t cgroup2") {
		t.Errorf("error %v, want one with the command that mounts it", err)
	}
}

func TestGroupRefusesPaths(t *testing.T) {
	for _, p := range []string{"", "/", "a", "mmbox/a", "/mmbox/../a", "/mmbox/", "/mmbox//a", "/..", "/mmbox/a\x00"} {
		if _, err := (Host{}).Group(p); err == nil {
			t.Errorf("%q: accepted", p)
		}
	}
}

func TestPIDsAndList(t *testing.T) {
	nested := map[string]string{"memory/mmbox/a/inner/cgroup.procs": "12\n", "pids/mmbox/left-over/cgroup.procs": ""}
	h := detect(t, tree(t, v1, unified, v1Sandbox, nested))
	pids, err := group(t, h, "/mmbox/a").PIDs()
	if err != nil || !slices.Equal(pids, []int{10, 11, 12}) {
		t.Errorf("processes %v, want 10 11 12; error %v", pids, err)
	}
	absent := group(t, h, "/mmbox/b")
	if pids, err := absent.PIDs(); err != nil || len(pids) != 0 || absent.Exists() {
		t.Errorf("absent group: %v %v", pids, err)
	}
	if names, err := h.List("/mmbox"); err != nil || !slices.Equal(names, []string{"a", "left-over"}) {
		t.Errorf("list %q, error %v", names, err)
	}
	if names, err := h.List("/nothing"); err != nil || names != nil {
		t.Errorf("list %q, error %v", names, err)
	}
	h = detect(t, tree(t, v2, map[string]string{"mmbox/a/cgroup.procs": "x\n"}))
	if _, err := group(t, h, "/mmbox/a").PIDs(); err == nil {
		t.Error("a process id that is no number: no error")
	}
}

func ptr[T any](v T) *T { return &v }

func TestStats(t *testing.T) {
	full := Stats{
		MemoryBytes: ptr[uint64](4096), MemoryPeakBytes: ptr[uint64](8192), MemoryLimitBytes: ptr[uint64](16777216),
		OOMKills: ptr[uint64](2), CPUUsage: ptr(3 * time.Millisecond), CPUUser: ptr(2 * time.Millisecond),
		CPUSystem: ptr(time.Millisecond), CPUThrottled: ptr(500 * time.Microsecond), CPUPeriods: ptr[uint64](7),
		CPUThrottledPeriods: ptr[uint64](2), PIDs: ptr[uint64](2), PIDsLimit: ptr[uint64](Unlimited),
	}
	v1Full := full
	v1Full.MemoryLimitBytes, v1Full.PIDsLimit = ptr[uint64](Unlimited), ptr[uint64](16)
	v1Full.CPUUser, v1Full.CPUSystem = ptr(20*time.Millisecond), ptr(10*time.Millisecond)
	oldKernel := full
	oldKernel.MemoryPeakBytes = nil
	usageOnly := Stats{CPUUsage: ptr(time.Millisecond), CPUUser: ptr(time.Duration(0)), CPUSystem: ptr(time.Duration(0))}
	for _, c := range []struct {
		name  string
		files []map[string]string
		want  Stats
	}{
		{"v2", []map[string]string{v2, v2Sandbox}, full},
		{"v2 before 5.19", []map[string]string{v2, without(v2Sandbox, "mmbox/a/memory.peak")}, oldKernel},
		{"v2 without controllers", []map[string]string{v2, {"mmbox/a/cgroup.procs": "", "mmbox/a/cpu.stat": "usage_usec 1000\nuser_usec 0\nsystem_usec 0\n"}}, usageOnly},
		{"v1", []map[string]string{v1, v1Sandbox}, v1Full},
		{"hybrid", []map[string]string{v1, unified, v1Sandbox}, v1Full},
		{"v1 with pids alone", []map[string]string{v1, {"pids/mmbox/a/pids.current": "2", "pids/mmbox/a/pids.max": "max"}},
			Stats{PIDs: ptr[uint64](2), PIDsLimit: ptr[uint64](Unlimited)}},
	} {
		got, err := group(t, detect(t, tree(t, c.files...)), "/mmbox/a").Stats()
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %s\nwant %s\nerror %v", c.name, show(got), show(c.want), err)
		}
	}
}

// Figures that cannot be read are errors, never zeros.
func TestStatsErrors(t *testing.T) {
	for file, sandbox := range map[string]map[string]string{
		"mmbox/a/memory.current": v2Sandbox, "mmbox/a/memory.max": v2Sandbox, "mmbox/a/memory.events": v2Sandbox,
		"mmbox/a/pids.current": v2Sandbox, "mmbox/a/cpu.stat": v2Sandbox,
		"memory/mmbox/a/memory.usage_in_bytes": v1Sandbox, "memory/mmbox/a/memory.oom_control": v1Sandbox,
		"pids/mmbox/a/pids.max": v1Sandbox, "cpu,cpuacct/mmbox/a/cpuacct.stat": v1Sandbox,
	} {
		host := v1
		if reflect.ValueOf(sandbox).Pointer() == reflect.ValueOf(v2Sandbox).Pointer() {
			host = v2
		}
		broken := without(sandbox, file)
		broken[file] = "oom_kill what\nusage_usec what\nuser what\n"
		if s, err := group(t, detect(t, tree(t, host, broken)), "/mmbox/a").Stats(); err == nil {
			t.Errorf("%s broken: %s", file, show(s))
		}
	}
	_, err := group(t, detect(t, tree(t, v2)), "/mmbox/b").Stats()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent group: error %v", err)
	}
}

func TestOOMKills(t *testing.T) {
	noCount := without(v1Sandbox, "memory/mmbox/a/memory.oom_control")
	noCount["memory/mmbox/a/memory.oom_control"] = "oom_kill_disable 0\nunder_oom 0\n"
	for _, c := range []struct {
		name  string
		files []map[string]string
		n     uint64
		ok    bool
	}{
		{"v2", []map[string]string{v2, v2Sandbox}, 2, true},
		{"v1", []map[string]string{v1, v1Sandbox}, 2, true},
		{"kernel that does not count", []map[string]string{v1, noCount}, 0, false},
		{"no memory controller here", []map[string]string{v2, {"mmbox/a/cgroup.procs": ""}}, 0, false},
		{"no group", []map[string]string{v1}, 0, false},
	} {
		n, ok, err := group(t, detect(t, tree(t, c.files...)), "/mmbox/a").OOMKills()
		if n != c.n || ok != c.ok || err != nil {
			t.Errorf("%s: %d %v %v, want %d %v", c.name, n, ok, err, c.n, c.ok)
		}
	}
}

func TestV2KillFreezeWait(t *testing.T) {
	root := tree(t, v2, v2Sandbox)
	g := group(t, detect(t, root), "/mmbox/a")
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := g.Kill(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("kill of what does not end: %v", err)
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(string(root), "mmbox/a", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if got := file("cgroup.kill"); got != "1" {
		t.Errorf("cgroup.kill holds %q, want 1", got)
	}
	if err := g.Freeze(short); !errors.Is(err, context.DeadlineExceeded) || file("cgroup.freeze") != "0" {
		t.Errorf("freeze of what does not stop: %v, cgroup.freeze holds %q", err, file("cgroup.freeze"))
	}
	events := filepath.Join(string(root), "mmbox/a/cgroup.events")
	if err := os.WriteFile(events, []byte("populated 0\nfrozen 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.WaitEmpty(t.Context()), g.Freeze(t.Context())); err != nil || file("cgroup.freeze") != "1" {
		t.Errorf("%v, cgroup.freeze holds %q", err, file("cgroup.freeze"))
	}
	if err := group(t, detect(t, root), "/mmbox/absent").WaitEmpty(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFreezeWithoutFreezer(t *testing.T) {
	g := group(t, detect(t, tree(t, v1)), "/mmbox/a")
	if err := g.Freeze(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("freeze: %v", err)
	}
	if err := g.Thaw(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("thaw: %v", err)
	}
}

func TestLimitsSpec(t *testing.T) {
	for _, c := range []struct {
		in                  Limits
		quota, memory, pids int64
	}{
		{Limits{1500, 64 << 20, 16}, 150_000, 64 << 20, 16},
		{Limits{}, 1000, 4096, 1}, // not 0, which is no limit
		{Limits{-1, -1, -1}, 1000, 4096, 1},
		{Limits{1, 1, 1}, 1000, 4096, 1},
		{Limits{1 << 62, 1 << 62, 1 << 62}, 100_000_000_000, 1 << 62, 1 << 62},
	} {
		s := c.in.Spec()
		if *s.CPU.Quota != c.quota || *s.CPU.Period != 100_000 || *s.Memory.Limit != c.memory || *s.Memory.Swap != c.memory || *s.Pids.Limit != c.pids {
			t.Errorf("%+v: quota %d, memory %d, swap %d, pids %d", c.in, *s.CPU.Quota, *s.Memory.Limit, *s.Memory.Swap, *s.Pids.Limit)
		}
	}
}

func without(files map[string]string, name string) map[string]string {
	rest := maps.Clone(files)
	delete(rest, name)
	return rest
}
