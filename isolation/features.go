package isolation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mmbox/cgroups"
)

// ErrUnsupported says that the host cannot enforce a protection.
var ErrUnsupported = errors.New("this host cannot enforce what the sandbox needs")

// Proc is where the proc file system is mounted. A directory with the same files is a kernel for tests.
type Proc string

// DefaultProc is where every distribution mounts it.
const DefaultProc Proc = "/proc"

// A Feature is a protection that a kernel may lack.
type Feature struct {
	Name  string `json:"name"`
	Since string `json:"since"` // the kernel it should appear in
	Use   string `json:"use"`
	Hint  string `json:"hint"` // what to do where it is missing
	OK    bool   `json:"ok"`
}

// A probe finds out about one feature. needed tells whether a policy asks for it; without returns the policy that does
// without it, and is nil where no sandbox can.
type probe struct {
	Feature
	find    func(Proc, cgroups.Host) bool
	needed  func(Policy) bool
	without func(Policy) Policy
}

func always(Policy) bool { return true }

func namespace(name string) func(Proc, cgroups.Host) bool {
	return func(p Proc, _ cgroups.Host) bool { return p.has("self/ns/" + name) }
}

func controller(name string) func(Proc, cgroups.Host) bool {
	return func(_ Proc, h cgroups.Host) bool { return h.Check(name) == nil }
}

// probes looks for features, never for a version. A host that lacks one without a "without" runs no sandbox at all.
var probes = []probe{
	{Feature{Name: "mount namespaces", Since: "2.4.19", Use: "a root file system of its own", Hint: "use a kernel built with CONFIG_NAMESPACES"},
		namespace("mnt"), always, nil},
	{Feature{Name: "pid namespaces", Since: "3.8", Use: "host processes are invisible", Hint: "use a kernel built with CONFIG_PID_NS"},
		namespace("pid"), always, nil},
	{Feature{Name: "ipc namespaces", Since: "2.6.19", Use: "no shared memory with the host", Hint: "use a kernel built with CONFIG_IPC_NS"},
		namespace("ipc"), always, nil},
	{Feature{Name: "uts namespaces", Since: "2.6.19", Use: "a host name of its own", Hint: "use a kernel built with CONFIG_UTS_NS"},
		namespace("uts"), always, nil},
	{Feature{Name: "cgroup namespaces", Since: "4.6", Use: "the host's cgroups are invisible", Hint: "use a kernel built with CONFIG_CGROUPS"},
		namespace("cgroup"), always, nil},
	{Feature{Name: "network namespaces", Since: "2.6.29", Use: "no network but loopback", Hint: "use a kernel built with CONFIG_NET_NS"},
		namespace("net"), func(p Policy) bool { return !p.hostNetwork }, Policy.WithHostNetwork},
	{Feature{Name: "user namespaces", Since: "3.8", Use: "root inside is nobody outside", Hint: "raise it: sysctl user.max_user_namespaces=10000"},
		userNamespaces, Policy.UserNamespace, Policy.WithHostUsers},
	{Feature{Name: "seccomp filters", Since: "3.5", Use: "few system calls", Hint: "use a kernel built with CONFIG_SECCOMP_FILTER"},
		func(p Proc, _ cgroups.Host) bool { return p.has("sys/kernel/seccomp/actions_avail") }, Policy.Seccomp, Policy.WithoutSeccomp},
	{Feature{Name: "cgroup controller cpu", Since: "2.6.24", Use: "the cpu limit", Hint: "mount cgroup2 with it, or boot without cgroup_disable=cpu"},
		controller("cpu"), limited("cpu"), withoutLimit("cpu")},
	{Feature{Name: "cgroup controller memory", Since: "2.6.25", Use: "the memory limit", Hint: "mount cgroup2 with it, or boot without cgroup_disable=memory"},
		controller("memory"), limited("memory"), withoutLimit("memory")},
	{Feature{Name: "cgroup controller pids", Since: "4.3", Use: "the limit of processes", Hint: "mount cgroup2 with it, or boot without cgroup_disable=pids"},
		controller("pids"), limited("pids"), withoutLimit("pids")},
	{Feature{Name: "cgroup freezer", Since: "2.6.28", Use: "pause, and ending a sandbox in one step", Hint: "mount cgroup2, or the freezer of version 1"},
		controller("freezer"), always, nil},
	{Feature{Name: "cgroup devices", Since: "2.6.26", Use: "no devices but /dev/null and its like", Hint: "mount cgroup2, or the devices controller of version 1"},
		controller("devices"), always, nil},
}

func limited(name string) func(Policy) bool {
	return func(p Policy) bool { return !p.unlimited(name) }
}

func withoutLimit(name string) func(Policy) Policy {
	return func(p Policy) Policy { return p.WithoutLimit(name) }
}

func (p Proc) has(name string) bool {
	_, err := os.Stat(filepath.Join(string(p), name))
	return err == nil
}

// userNamespaces looks for a limit above zero: distributions switch the feature off by it.
func userNamespaces(p Proc, _ cgroups.Host) bool {
	limit, err := os.ReadFile(filepath.Join(string(p), "sys/user/max_user_namespaces"))
	return err == nil && strings.TrimSpace(string(limit)) != "0" && p.has("self/ns/user")
}

// Features returns what a host has and lacks.
func Features(p Proc, h cgroups.Host) []Feature {
	list := make([]Feature, 0, len(probes))
	for _, probe := range probes {
		f := probe.Feature
		f.OK = probe.find(p, h)
		list = append(list, f)
	}
	return list
}

// Check returns an error that matches ErrUnsupported and names each feature that a policy needs and the host lacks.
func (p Policy) Check(proc Proc, h cgroups.Host) error {
	var missing []string
	for _, probe := range probes {
		if probe.needed(p) && !probe.find(proc, h) {
			missing = append(missing, fmt.Sprintf("no %s (%s): %s", probe.Name, probe.Use, probe.Hint))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(missing, "; "))
}

// Downgrade returns the policy that remains when a host's lacks are put up with, and a warning for each. It returns an
// error where no sandbox can be made at all.
func (p Policy) Downgrade(proc Proc, h cgroups.Host) (Policy, []string, error) {
	var warnings []string
	for _, probe := range probes {
		if probe.without == nil || !probe.needed(p) || probe.find(proc, h) {
			continue
		}
		p = probe.without(p)
		warnings = append(warnings, fmt.Sprintf("this host has no %s: %s is not enforced", probe.Name, probe.Use))
	}
	return p, warnings, p.Check(proc, h)
}
