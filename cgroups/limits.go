package cgroups

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Limits bound what a sandbox uses of the machine. The zero value is the strictest, not unlimited: see Spec.
type Limits struct {
	CPU    int64 `json:"cpu_millicores"` // thousandths of a core
	Memory int64 `json:"memory_bytes"`   // bytes, swap excluded: a sandbox has none
	PIDs   int64 `json:"pids"`           // processes and threads
}

const (
	period   = 100_000 // µs over which processor time is counted
	minQuota = 1_000   // µs, the least the kernel takes
	minBytes = 4096    // a page; the runtime reads 0 as no limit
	minPIDs  = 1       // the sandbox's first process; the runtime reads 0 as no limit
)

// Spec returns the limits in the words of the OCI runtime specification. It is pure. All three are always set: a value
// below the least the kernel can enforce (10 thousandths of a core, 4096 bytes, one process) becomes that least one,
// because OCI runtimes take 0 for unlimited. Swap equals Memory, which says by the specification that memory and swap
// together end at Memory: no swap.
func (l Limits) Spec() *specs.LinuxResources {
	quota := max(min(l.CPU, maxMilli)*period/1000, minQuota)
	every := uint64(period)
	memory, swap := max(l.Memory, minBytes), max(l.Memory, minBytes)
	pids := max(l.PIDs, minPIDs)
	return &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Quota: &quota, Period: &every},
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &swap},
		Pids:   &specs.LinuxPids{Limit: &pids},
	}
}

// maxMilli is a million cores: more than any machine has, and its quota does not overflow.
const maxMilli = 1_000_000_000
