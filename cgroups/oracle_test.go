package cgroups

import (
	"testing"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	"github.com/containerd/cgroups/v3/cgroup2"
)

// Another reader of the same files, containerd's, sees the same figures. It gives 0 for what is absent and takes five
// times as long, which is why it is the judge here and not the reader.
func TestRealFiguresAgreeWithContainerd(t *testing.T) {
	g := realGroup(t, map[string]string{
		"cpu.cfs_quota_us": "20000", "cpu.max": "v2 20000 100000",
		"memory.limit_in_bytes": "67108864", "memory.max": "v2 67108864",
		"pids.max": pidsMax(t),
	})
	start(t, g, "spin")
	for deadline := time.Now().Add(10 * time.Second); *stats(t, g).CPUThrottledPeriods == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never throttled")
		}
	}
	if err := g.Freeze(soon(t)); err != nil { // the figures stand still
		t.Fatal(err)
	}
	got := stats(t, g)
	var want map[string]uint64
	if g.host.Mode == V2 {
		want = containerdV2(t, g)
	} else {
		want = containerdV1(t, g)
	}
	for name, have := range map[string]uint64{
		"memory": *got.MemoryBytes, "memory limit": *got.MemoryLimitBytes, "OOM kills": *got.OOMKills,
		"usage": uint64(*got.CPUUsage), "user": uint64(*got.CPUUser), "system": uint64(*got.CPUSystem),
		"throttled": uint64(*got.CPUThrottled), "periods": *got.CPUPeriods, "throttled periods": *got.CPUThrottledPeriods,
		"pids": *got.PIDs, "pids limit": *got.PIDsLimit,
	} {
		if have != want[name] {
			t.Errorf("%s: %d, containerd reads %d", name, have, want[name])
		}
	}
}

func containerdV1(t *testing.T, g Group) map[string]uint64 {
	t.Helper()
	m := &stats1.Metrics{CPU: &stats1.CPUStat{Throttling: &stats1.Throttle{}, Usage: &stats1.CPUUsage{}}}
	root := string(g.host.FS)
	for _, c := range []interface {
		Stat(path string, stats *stats1.Metrics) error
	}{
		cgroup1.NewMemory(root, cgroup1.IgnoreModules("memsw", "kmem", "kmem.tcp")),
		cgroup1.NewCpu(root), cgroup1.NewCpuacct(root), cgroup1.NewPids(root),
	} {
		if err := c.Stat(g.path, m); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]uint64{
		"memory": m.Memory.Usage.Usage, "memory limit": m.Memory.Usage.Limit, "OOM kills": m.MemoryOomControl.OomKill,
		"usage": m.CPU.Usage.Total, "user": m.CPU.Usage.User, "system": m.CPU.Usage.Kernel,
		"throttled": m.CPU.Throttling.ThrottledTime, "periods": m.CPU.Throttling.Periods,
		"throttled periods": m.CPU.Throttling.ThrottledPeriods, "pids": m.Pids.Current, "pids limit": m.Pids.Limit,
	}
}

func containerdV2(t *testing.T, g Group) map[string]uint64 {
	t.Helper()
	manager, err := cgroup2.Load(g.path, cgroup2.WithMountpoint(string(g.host.FS)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := manager.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const micro = uint64(time.Microsecond)
	return map[string]uint64{
		"memory": m.Memory.Usage, "memory limit": m.Memory.UsageLimit, "OOM kills": m.MemoryEvents.OomKill,
		"usage": m.CPU.UsageUsec * micro, "user": m.CPU.UserUsec * micro, "system": m.CPU.SystemUsec * micro,
		"throttled": m.CPU.ThrottledUsec * micro, "periods": m.CPU.NrPeriods, "throttled periods": m.CPU.NrThrottled,
		"pids": m.Pids.Current, "pids limit": m.Pids.Limit,
	}
}
