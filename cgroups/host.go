package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FS is the directory that the host's cgroup hierarchies are mounted at or below. A directory with the same files is a
// host for tests.
type FS string

// DefaultFS is where every distribution mounts them.
const DefaultFS FS = "/sys/fs/cgroup"

// A Mode is the kind of cgroup hierarchy that a host's controllers are in.
type Mode string

const (
	V2     Mode = "v2"     // one hierarchy, version 2
	Hybrid Mode = "hybrid" // controllers in version 1, and a version 2 hierarchy without them beside
	V1     Mode = "v1"     // version 1 alone
	None   Mode = "none"   // nothing mounted
)

// A Host is what a host's cgroup hierarchies are and can do. It is read once, by Detect, and does not change.
type Host struct {
	FS          FS
	Mode        Mode
	Controllers map[string]string // by name, such as "memory": the directory its hierarchy is mounted at
	Features    []Feature
	mounts      []string // of every hierarchy, version 2 last
}

// A Feature is something that not every kernel's cgroups offer.
type Feature struct {
	Name  string // such as "memory.high"
	Use   string // what it is good for
	Since string // the kernel it should appear in, or "v2" and the kernel
	State State
}

// A State is whether a feature is there.
type State string

const (
	Yes     State = "yes"
	No      State = "no"
	Unknown State = "unknown" // there is no group yet to look into
)

// knownControllers tells the controllers of version 1 from hierarchies that only have a name, such as systemd's.
var knownControllers = []string{"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc",
	"net_cls", "net_prio", "perf_event", "pids", "rdma"}

// Detect reads which hierarchies are mounted at root. A host without cgroups is no error: its mode is None.
func Detect(root FS) (Host, error) {
	h := Host{FS: root, Mode: None, Controllers: map[string]string{}}
	names, err := readFields(filepath.Join(string(root), "cgroup.controllers"))
	switch {
	case err == nil:
		h.Mode = V2
		h.mounts = []string{string(root)}
		for _, c := range names {
			h.Controllers[c] = string(root)
		}
	case errors.Is(err, fs.ErrNotExist):
		if err := h.detectV1(); err != nil {
			return Host{}, fmt.Errorf("detect cgroups at %q: %w", root, err)
		}
	default:
		return Host{}, fmt.Errorf("detect cgroups at %q: %w", root, err)
	}
	if h.Features, err = probe(h); err != nil {
		return Host{}, fmt.Errorf("detect cgroup features at %q: %w", root, err)
	}
	return h, nil
}

func (h *Host) detectV1() error {
	entries, err := os.ReadDir(string(h.FS))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unified := ""
	for _, e := range entries {
		dir := filepath.Join(string(h.FS), e.Name())
		if !e.IsDir() || !present(dir, "cgroup.procs") { // a link such as cpu -> cpu,cpuacct is no second hierarchy
			continue
		}
		if present(dir, "cgroup.controllers") {
			unified = dir
			continue
		}
		h.mounts = append(h.mounts, dir)
		for _, c := range strings.Split(e.Name(), ",") {
			if slices.Contains(knownControllers, c) {
				h.Controllers[c] = dir
			}
		}
	}
	if len(h.mounts) > 0 {
		h.Mode = V1
	}
	if unified == "" {
		return nil
	}
	h.mounts = append(h.mounts, unified)
	if h.Mode == V1 {
		h.Mode = Hybrid
		return nil
	}
	return fmt.Errorf("only %q is mounted, and it is version 2: mount it at %q itself", unified, h.FS)
}

// built into version 2 itself, where no controller has their name: freezing, accounting, and devices through eBPF.
var builtIn = []string{"freezer", "cpuacct", "devices"}

// Check tells whether the host has the controllers that are needed, such as "cpu", "memory", "pids" and "freezer". The
// error names all that are missing.
func (h Host) Check(need ...string) error {
	if h.Mode == None {
		return fmt.Errorf("check cgroups: nothing is mounted at %q: mount -t cgroup2 cgroup2 %s", h.FS, h.FS)
	}
	var missing []string
	for _, c := range need {
		if h.Mode == V2 && slices.Contains(builtIn, c) {
			continue
		}
		if _, ok := h.Controllers[c]; !ok {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hint := "mount them, or boot with cgroup_enable=" + strings.Join(missing, ",")
	return fmt.Errorf("check cgroups: no controller %s at %q (%s): %s", strings.Join(missing, ", "), h.FS, h.Mode, hint)
}

// Lacks returns the names of the features that the host does not have.
func (h Host) Lacks() []string {
	var names []string
	for _, f := range h.Features {
		if f.State == No {
			names = append(names, f.Name)
		}
	}
	return names
}

// List returns the names of the groups directly below parent, such as "/mmbox", in any hierarchy, sorted. A parent that
// does not exist has none.
func (h Host) List(parent string) ([]string, error) {
	var names []string
	for _, mount := range h.mounts {
		entries, err := os.ReadDir(filepath.Join(mount, parent))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list cgroups below %q: %w", parent, err)
		}
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func present(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
