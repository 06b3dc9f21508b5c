package isolation

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"mmbox/cgroups"
	"mmbox/models"
)

// ModelUID is the user and group that a model's program runs as, inside its user namespace. On the host it is the
// ModelUID-th id of the sandbox's Range.
const ModelUID = 1000

// ociVersion is the oldest that has all a sandbox's specification uses: crun 1.8 refuses any but 1.0.x.
const ociVersion = "1.0.2"

// Path is the PATH of every sandbox.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A Process is what runs in a sandbox. Args[0] is absolute.
type Process struct {
	Args     []string
	Env      map[string]string
	Dir      string // empty is /
	Terminal bool
}

// Surroundings are the parts of a specification that a policy does not decide.
type Surroundings struct {
	Hostname string
	Root     string // absolute path of the root file system
	Users    Range  // ignored where the policy has no user namespace
	Cgroup   string // absolute cgroup path, such as /mmbox/ID
	Limits   cgroups.Limits
	Tmp      models.Size // of /tmp
	Process  Process
	Filter   *specs.LinuxSeccomp // nil where the policy has no filter
	Labels   map[string]string   // become annotations
}

// Spec returns the OCI runtime specification of a sandbox. It is pure.
// Source: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md
func (p Policy) Spec(s Surroundings) *specs.Spec {
	spec := &specs.Spec{
		Version:     ociVersion,
		Root:        &specs.Root{Path: s.Root, Readonly: true},
		Hostname:    s.Hostname,
		Process:     p.process(s.Process),
		Mounts:      p.mounts(s.Tmp),
		Annotations: s.Labels,
		Linux: &specs.Linux{
			CgroupsPath:       s.Cgroup,
			Resources:         p.resources(s.Limits),
			Namespaces:        p.namespaces(),
			MaskedPaths:       slices.Clone(maskedPaths),
			ReadonlyPaths:     slices.Clone(readonlyPaths),
			RootfsPropagation: "private",
		},
	}
	if p.UserNamespace() {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: s.Users.First, Size: s.Users.Size}}
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = ids, slices.Clone(ids)
	}
	if p.Seccomp() {
		spec.Linux.Seccomp = s.Filter
	}
	return spec
}

// resources denies every device; OCI runtimes add /dev/null and its like.
func (p Policy) resources(l cgroups.Limits) *specs.LinuxResources {
	r := l.Spec()
	r.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	if p.unlimited("cpu") {
		r.CPU = nil
	}
	if p.unlimited("memory") {
		r.Memory = nil
	}
	if p.unlimited("pids") {
		r.Pids = nil
	}
	return r
}

func (p Policy) process(of Process) *specs.Process {
	process := &specs.Process{
		Terminal:        of.Terminal,
		Args:            of.Args,
		Env:             environment(of),
		Cwd:             of.Dir,
		NoNewPrivileges: !p.newPrivileges,
		Capabilities:    p.capabilitySets(),
		Rlimits:         slices.Clone(rlimits),
	}
	if process.Cwd == "" {
		process.Cwd = "/"
	}
	if !p.rootUser {
		process.User = specs.User{UID: ModelUID, GID: ModelUID}
	}
	return process
}

// environment is sorted, so that a specification is the same each time.
func environment(p Process) []string {
	env := map[string]string{"PATH": Path, "HOME": "/tmp"}
	if p.Terminal {
		env["TERM"] = "xterm"
	}
	for k, v := range p.Env {
		env[k] = v
	}
	list := make([]string, 0, len(env))
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return list
}

// capabilitySets gives the program exactly the policy's capabilities, the ambient set included: without it a program
// that is not uid 0 would lose them at exec.
func (p Policy) capabilitySets() *specs.LinuxCapabilities {
	return &specs.LinuxCapabilities{
		Bounding:    slices.Clone(p.capabilities),
		Effective:   slices.Clone(p.capabilities),
		Permitted:   slices.Clone(p.capabilities),
		Inheritable: slices.Clone(p.capabilities),
		Ambient:     slices.Clone(p.capabilities),
	}
}

func (p Policy) namespaces() []specs.LinuxNamespace {
	list := []specs.LinuxNamespace{
		{Type: specs.MountNamespace},
		{Type: specs.PIDNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.CgroupNamespace},
	}
	if !p.hostNetwork {
		list = append(list, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	if p.UserNamespace() {
		list = append(list, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	return list
}

// mounts has no sysfs, no cgroup file system and no mqueue: programs that infer do not need them, and each costs a
// start time and attack surface.
func (p Policy) mounts(tmp models.Size) []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "strictatime", "mode=755", "size=64k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", sizeOption(tmp)}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", sizeOption(tmp)}},
	}
}

func sizeOption(s models.Size) string { return fmt.Sprintf("size=%d", int64(s)) }

// maskedPaths are what /proc tells of the host beyond what a program needs.
var maskedPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/kpagecount", "/proc/kpageflags",
	"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
}

// readonlyPaths are where /proc lets root change the host.
var readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

// rlimits bound what the kernel counts per user of the host, and not per sandbox or cgroup: without them one sandbox
// could use up what others, and root, need.
var rlimits = []specs.POSIXRlimit{
	{Type: "RLIMIT_CORE", Soft: 0, Hard: 0},
	{Type: "RLIMIT_MEMLOCK", Soft: 64 << 10, Hard: 64 << 10},
	{Type: "RLIMIT_MSGQUEUE", Soft: 0, Hard: 0},
	{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 1024},
	{Type: "RLIMIT_SIGPENDING", Soft: 256, Hard: 256},
}
