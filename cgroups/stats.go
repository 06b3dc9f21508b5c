package cgroups

import (
	"fmt"
	"io/fs"
	"math"
	"time"
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

// Stats reads the group's figures, each file once: 9 on version 1, 7 on version 2. The error is fs.ErrNotExist where
// the group does not exist or ends meanwhile.
func (g Group) Stats() (Stats, error) {
	r := reader{group: g}
	var s Stats
	if g.host.Mode == V2 {
		r.readV2(&s)
	} else {
		r.readV1(&s)
	}
	s.PIDs, s.PIDsLimit = r.number("pids", "pids.current"), r.number("pids", "pids.max")
	// A file that is not there is a controller that is not on, or a group that has just ended.
	if gone(r.err) || r.err == nil && r.missing && !g.Exists() {
		r.err = fs.ErrNotExist
	}
	if r.err != nil {
		return Stats{}, fmt.Errorf("read figures of cgroup %q: %w", g.path, r.err)
	}
	return s, nil
}

func (r *reader) readV1(s *Stats) {
	s.MemoryBytes = r.number("memory", "memory.usage_in_bytes")
	s.MemoryPeakBytes = r.number("memory", "memory.max_usage_in_bytes")
	s.MemoryLimitBytes = r.number("memory", "memory.limit_in_bytes")
	if s.MemoryLimitBytes != nil && *s.MemoryLimitBytes >= unlimitedV1 {
		*s.MemoryLimitBytes = Unlimited
	}
	s.OOMKills = r.keyed("memory", "memory.oom_control", "oom_kill")[0]
	cpu := r.keyed("cpu", "cpu.stat", "nr_periods", "nr_throttled", "throttled_time")
	s.CPUPeriods, s.CPUThrottledPeriods, s.CPUThrottled = cpu[0], cpu[1], duration(cpu[2], time.Nanosecond)
	s.CPUUsage = duration(r.number("cpuacct", "cpuacct.usage"), time.Nanosecond)
	split := r.keyed("cpuacct", "cpuacct.stat", "user", "system")
	s.CPUUser, s.CPUSystem = duration(split[0], tick), duration(split[1], tick)
}

const (
	// unlimitedV1 is below what version 1 shows for no limit, the largest number of bytes rounded down to a page, and
	// above any memory.
	unlimitedV1 = 1 << 62
	// tick is the unit that the kernel shows processor time in where it is not said otherwise: USER_HZ is 100 on
	// every architecture of today.
	tick = 10 * time.Millisecond
)

func (r *reader) readV2(s *Stats) {
	s.MemoryBytes = r.number("memory", "memory.current")
	s.MemoryPeakBytes = r.number("memory", "memory.peak")
	s.MemoryLimitBytes = r.number("memory", "memory.max")
	s.OOMKills = r.keyed("memory", "memory.events", "oom_kill")[0]
	cpu := r.keyed("", "cpu.stat", "usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec")
	s.CPUUsage, s.CPUUser = duration(cpu[0], time.Microsecond), duration(cpu[1], time.Microsecond)
	s.CPUSystem = duration(cpu[2], time.Microsecond)
	s.CPUPeriods, s.CPUThrottledPeriods, s.CPUThrottled = cpu[3], cpu[4], duration(cpu[5], time.Microsecond)
}

// OOMKills returns how many of the group's processes the kernel has ended for want of memory. ok is false where that
// cannot be told: the host has no memory controller, the kernel does not count (before 4.13) or the group has ended.
func (g Group) OOMKills() (n uint64, ok bool, err error) {
	r := reader{group: g}
	name := "memory.oom_control"
	if g.host.Mode == V2 {
		name = "memory.events"
	}
	kills := r.keyed("memory", name, "oom_kill")[0]
	switch {
	case r.err != nil && !gone(r.err):
		return 0, false, fmt.Errorf("read OOM kills of cgroup %q: %w", g.path, r.err)
	case r.err != nil || kills == nil:
		return 0, false, nil
	}
	return *kills, true, nil
}
