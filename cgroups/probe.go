package cgroups

import (
	"os"
	"path/filepath"
	"strings"
)

// A trial is how one feature is looked for: by the file of its name in a group of version 2; on other hosts by the file
// of version 1 that does the same. Files of version 2's core need no controller, so the version 2 hierarchy of a hybrid
// host has them too, for the processes that are in it.
type trial struct {
	name, use, since string
	v1Controller     string
	v1File           string
	core             bool
}

var trials = []trial{
	{name: "cgroup.kill", use: "end a sandbox in one write, whatever it forks", since: "v2, 5.14", core: true},
	{name: "cgroup.freeze", use: "pause a sandbox", since: "v2, 5.2", v1Controller: "freezer", v1File: "freezer.state"},
	{name: "memory.high", use: "slow a sandbox down before its memory ends", since: "v2, 4.5"},
	{name: "memory.peak", use: "most memory a sandbox ever used", since: "v2, 5.19", v1Controller: "memory", v1File: "memory.max_usage_in_bytes"},
	{name: "memory.swap.max", use: "keep a sandbox out of swap", since: "v2, 4.5", v1Controller: "memory", v1File: "memory.memsw.limit_in_bytes"},
	{name: "memory.pressure", use: "time a sandbox waits for memory (PSI)", since: "v2, 4.20", core: true},
	{name: "cpu.pressure", use: "time a sandbox waits for a processor (PSI)", since: "v2, 4.20", core: true},
}

// probe looks for each feature in a group that exists: the root of a hierarchy lacks most files. It creates nothing.
func probe(h Host) ([]Feature, error) {
	if h.Mode == None {
		return nil, nil
	}
	var features []Feature
	for _, t := range trials {
		f := Feature{Name: t.name, Use: t.use, Since: t.since, State: No}
		mount, file := t.place(h)
		if mount != "" {
			var err error
			if f.State, err = probeFile(mount, file); err != nil {
				return nil, err
			}
		}
		features = append(features, f)
	}
	return features, nil
}

// place returns where on the host a trial looks, and for which file; an empty mount where the host has no such place.
func (t trial) place(h Host) (mount, file string) {
	switch {
	case h.Mode == V2:
		return string(h.FS), t.name
	case t.v1Controller != "":
		return h.Controllers[t.v1Controller], t.v1File
	case t.core && h.Mode == Hybrid:
		return h.mounts[len(h.mounts)-1], t.name
	}
	return "", ""
}

// probeFile looks for the file in the hierarchy's root and in the groups right below it. Not every group has every
// controller, so one that lacks the file proves nothing; groups with other files of the controller do.
func probeFile(mount, file string) (State, error) {
	if present(mount, file) {
		return Yes, nil
	}
	entries, err := os.ReadDir(mount)
	if err != nil {
		return "", err
	}
	state := Unknown
	for _, e := range entries {
		dir := filepath.Join(mount, e.Name())
		if !e.IsDir() || !present(dir, "cgroup.procs") {
			continue
		}
		if present(dir, file) {
			return Yes, nil
		}
		if proves(dir, file) {
			state = No
		}
	}
	return state, nil
}

// proves tells whether the group has the controller that the file would belong to, or the file needs none.
func proves(dir, file string) bool {
	controller, _, _ := strings.Cut(file, ".")
	return controller != "memory" || strings.HasSuffix(file, ".pressure") || present(dir, "memory.stat")
}
