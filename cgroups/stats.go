package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	stats1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	"github.com/containerd/cgroups/v3/cgroup2"
)

// Stats are a group's figures, with those of groups below it. A figure is nil where the host cannot tell it: absent is
// not zero.
type Stats struct {
	MemoryBytes         *uint64        `json:"memory_bytes,omitempty"`       // in use now, page cache included
	MemoryPeakBytes     *uint64        `json:"memory_peak_bytes,omitempty"`  // most ever in use
	MemoryLimitBytes    *uint64        `json:"memory_limit_bytes,omitempty"` // or Unlimited
	OOMKills            *uint64        `json:"oom_kills,omitempty"`          // processes the kernel ended for want of memory
	CPUUsage            *time.Duration `json:"cpu_usage_ns,omitempty"`
	CPUUser             *time.Duration `json:"cpu_user_ns,omitempty"`   // on version 1 in steps of 10 ms
	CPUSystem           *time.Duration `json:"cpu_system_ns,omitempty"` // likewise
	CPUThrottled        *time.Duration `json:"cpu_throttled_ns,omitempty"`
	CPUPeriods          *uint64        `json:"cpu_periods,omitempty"` // of 100 ms in which there was something to run
	CPUThrottledPeriods *uint64        `json:"cpu_throttled_periods,omitempty"`
	PIDs                *uint64        `json:"pids,omitempty"`       // processes and threads now
	PIDsLimit           *uint64        `json:"pids_limit,omitempty"` // or Unlimited
}

// Unlimited is the limit of a group without one.
const Unlimited = math.MaxUint64

// Stats reads the group's figures. The error is fs.ErrNotExist where the group does not exist or ends meanwhile.
func (g Group) Stats() (Stats, error) {
	var s Stats
	if !g.Exists() {
		return s, fmt.Errorf("read figures of cgroup %q: %w", g.path, fs.ErrNotExist)
	}
	read := s.readV1
	if g.host.Mode == V2 {
		read = s.readV2
	}
	err := errors.Join(read(g), s.readPIDs(g))
	if err == nil {
		s.OOMKills, err = g.oomKills()
	}
	if err != nil && gone(err) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Stats{}, fmt.Errorf("read figures of cgroup %q: %w", g.path, err)
	}
	return s, nil
}

// OOMKills returns how many of the group's processes the kernel has ended for want of memory. ok is false where that
// cannot be told: the host has no memory controller, the kernel does not count (before 4.13) or the group has ended.
func (g Group) OOMKills() (n uint64, ok bool, err error) {
	kills, err := g.oomKills()
	switch {
	case gone(err):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read OOM kills of cgroup %q: %w", g.path, err)
	case kills == nil:
		return 0, false, nil
	}
	return *kills, true, nil
}

func (g Group) oomKills() (*uint64, error) {
	dir, ok := g.dir("memory")
	if !ok {
		return nil, nil
	}
	name := "memory.oom_control"
	if g.host.Mode == V2 {
		name = "memory.events"
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) && isDir(dir) {
		return nil, nil // the controller is not on for this group
	}
	if err != nil {
		return nil, err
	}
	return parseKeyed(string(text), "oom_kill")
}

// parseKeyed returns the number after a key, one pair to a line, or nil where the key is not there.
func parseKeyed(text, key string) (*uint64, error) {
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if k != key {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return &n, nil
	}
	return nil, nil
}

// readV1 reads through containerd's reader of each controller that the group has. On version 1 it reports what it
// cannot read.
func (s *Stats) readV1(g Group) error {
	root := string(g.host.FS)
	m := &stats1.Metrics{CPU: &stats1.CPUStat{Throttling: &stats1.Throttle{}, Usage: &stats1.CPUUsage{}}}
	if _, ok := g.dir("memory"); ok {
		if err := cgroup1.NewMemory(root, cgroup1.IgnoreModules("memsw", "kmem", "kmem.tcp")).Stat(g.path, m); err != nil {
			return err
		}
		usage := m.Memory.Usage
		if usage.Limit >= unlimitedV1 {
			usage.Limit = Unlimited
		}
		s.MemoryBytes, s.MemoryPeakBytes, s.MemoryLimitBytes = &usage.Usage, &usage.Max, &usage.Limit
	}
	if dir, ok := g.dir("cpu"); ok && present(dir, "cpu.cfs_quota_us") {
		if err := cgroup1.NewCpu(root).Stat(g.path, m); err != nil {
			return err
		}
		t := m.CPU.Throttling
		s.CPUThrottled = duration(t.ThrottledTime, time.Nanosecond)
		s.CPUPeriods, s.CPUThrottledPeriods = &t.Periods, &t.ThrottledPeriods
	}
	if _, ok := g.dir("cpuacct"); ok {
		if err := cgroup1.NewCpuacct(root).Stat(g.path, m); err != nil {
			return err
		}
		u := m.CPU.Usage
		s.CPUUsage = duration(u.Total, time.Nanosecond)
		s.CPUUser, s.CPUSystem = duration(u.User, time.Nanosecond), duration(u.Kernel, time.Nanosecond)
	}
	return nil
}

// unlimitedV1 is below what version 1 shows for no limit, the largest number of bytes rounded down to a page, and above
// any memory.
const unlimitedV1 = 1 << 62

// readV2 takes from containerd's reader what it reads faithfully. A file with one number it reads as 0 when it cannot,
// and says so in a log of its own, so those are read here.
func (s *Stats) readV2(g Group) error {
	dir, _ := g.v2()
	m, err := cgroup2.Load(g.path, cgroup2.WithMountpoint(string(g.host.FS)))
	if err != nil {
		return err
	}
	if present(dir, "cpu.stat") {
		all, err := m.StatFiltered(cgroup2.StatCPU)
		if err != nil {
			return err
		}
		c := all.CPU
		s.CPUUsage = duration(c.UsageUsec, time.Microsecond)
		s.CPUUser, s.CPUSystem = duration(c.UserUsec, time.Microsecond), duration(c.SystemUsec, time.Microsecond)
		if present(dir, "cpu.max") { // without the controller cpu.stat has the usage alone
			s.CPUThrottled = duration(c.ThrottledUsec, time.Microsecond)
			s.CPUPeriods, s.CPUThrottledPeriods = &c.NrPeriods, &c.NrThrottled
		}
	}
	return errors.Join(
		readNumber(&s.MemoryBytes, dir, "memory.current"),
		readNumber(&s.MemoryPeakBytes, dir, "memory.peak"),
		readNumber(&s.MemoryLimitBytes, dir, "memory.max"),
	)
}

func (s *Stats) readPIDs(g Group) error {
	dir, ok := g.dir("pids")
	if !ok {
		return nil
	}
	return errors.Join(readNumber(&s.PIDs, dir, "pids.current"), readNumber(&s.PIDsLimit, dir, "pids.max"))
}

// readNumber sets to from a file with one number or "max". A file that is not there leaves to as it is.
func readNumber(to **uint64, dir, name string) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := parseNumber(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*to = &n
	return nil
}

func parseNumber(text string) (uint64, error) {
	word := strings.TrimSpace(text)
	if word == "max" {
		return Unlimited, nil
	}
	return strconv.ParseUint(word, 10, 64)
}

func duration(n uint64, unit time.Duration) *time.Duration {
	d := time.Duration(n) * unit
	return &d
}
