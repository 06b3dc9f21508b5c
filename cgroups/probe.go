package cgroups

import (
	"os"
	"path/filepath"
	"strings"
)

// A trial is how one feature is looked for: by its file in a group of the version 2 hierarchy or, where version 1 has
// it too, in a group of that controller's.
type trial struct {
	name, use, since string
	v1Controller     string
	v1File           string
}

var trials = []trial{
	{name: "cgroup.kill", use: "end a sandbox in one write, whatever it forks", since: "v2, 5.14"},
	{name: "cgroup.freeze", use: "pause a sandbox", since: "v2, 5.2", v1Controller: "freezer", v1File: "freezer.state"},
	{name: "memory.high", use: "slow a sandbox down before its memory ends", since: "v2, 4.5"},
	{name: "memory.peak", use: "most memory a sandbox ever used", since: "v2, 5.19", v1Controller: "memory", v1File: "memory.max_usage_in_bytes"},
	{name: "memory.swap.max", use: "keep a sandbox out of swap", since: "v2, 4.5", v1Controller: "memory", v1File: "memory.memsw.limit_in_bytes"},
	{name: "memory.pressure", use: "time a sandbox waits for memory (PSI)", since: "v2, 4.20"},
	{name: "cpu.pressure", use: "time a sandbox waits for a processor (PSI)", since: "v2, 4.20"},
}

// probe looks for each feature in a group that exists: the root of version 2 has few of the files. It creates nothing.
func probe(h Host) ([]Feature, error) {
	if h.Mode == None {
		return nil, nil
	}
	var features []Feature
	for _, t := range trials {
		f := Feature{Name: t.name, Use: t.use, Since: t.since, State: No}
		mount, file := string(h.FS), t.name
		if h.Mode != V2 {
			mount, file = h.Controllers[t.v1Controller], t.v1File
		}
		var err error
		if mount != "" {
			f.State, err = probeFile(mount, file)
		}
		if err != nil {
			return nil, err
		}
		features = append(features, f)
	}
	return features, nil
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

// proves tells whether the group has the controller the file would belong to.
func proves(dir, file string) bool {
	controller, _, _ := strings.Cut(file, ".")
	switch controller {
	case "memory":
		return present(dir, "memory.stat")
	case "cpu":
		return present(dir, "cpu.stat")
	}
	return true
}
