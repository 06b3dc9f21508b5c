package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Group is the place of one sandbox in every hierarchy of a host. It is a name: the group need not exist, and may end
// at any moment without an error of its own.
type Group struct {
	host Host
	path string
}

// ErrBusy is the error of Remove for a group that still has processes.
var ErrBusy = errors.New("cgroup has processes")

// Group names the group at an absolute path below the hierarchies' roots, such as "/mmbox/ID".
func (h Host) Group(p string) (Group, error) {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || strings.ContainsRune(p, 0) {
		return Group{}, fmt.Errorf("open cgroup %q: write a clean absolute path below the root, such as /mmbox/ID", p)
	}
	return Group{host: h, path: p}, nil
}

// Path returns the group's path below the root of each hierarchy.
func (g Group) Path() string { return g.path }

// Exists tells whether the group is in any hierarchy.
func (g Group) Exists() bool { return len(g.dirs()) > 0 }

// dirs returns the group's directory in each hierarchy that has it.
func (g Group) dirs() []string {
	var dirs []string
	for _, mount := range g.host.mounts {
		if dir := filepath.Join(mount, g.path); isDir(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// dir returns the group's directory in the hierarchy of a controller.
func (g Group) dir(controller string) (string, bool) {
	mount, ok := g.host.Controllers[controller]
	if !ok {
		return "", false
	}
	dir := filepath.Join(mount, g.path)
	return dir, isDir(dir)
}

// v2 returns the group's directory in the version 2 hierarchy, also of a hybrid host.
func (g Group) v2() (string, bool) {
	switch g.host.Mode {
	case V2, Hybrid:
		dir := filepath.Join(g.host.mounts[len(g.host.mounts)-1], g.path)
		return dir, isDir(dir)
	}
	return "", false
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// PIDs returns the process ids in the group and in groups below it, in any hierarchy, sorted. They are of the caller's
// process-id namespace. A process may have ended when its id is read.
func (g Group) PIDs() ([]int, error) {
	var pids []int
	for _, dir := range g.dirs() {
		found, err := pidsBelow(dir)
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup %q: %w", g.path, err)
		}
		pids = append(pids, found...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

func pidsBelow(dir string) ([]int, error) {
	var pids []int
	for _, d := range below(dir) {
		words, err := readFields(filepath.Join(d, "cgroup.procs"))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			pid, err := strconv.Atoi(w)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", filepath.Join(d, "cgroup.procs"), err)
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// below returns the directory and all below it, a directory before those inside it. Groups that end meanwhile are left
// out.
func below(dir string) []string {
	dirs := []string{dir}
	for i := 0; i < len(dirs); i++ {
		entries, err := os.ReadDir(dirs[i])
		if err != nil {
			continue // it ended: a group's directory can always be read by root
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(dirs[i], e.Name()))
			}
		}
	}
	return dirs
}

// Remove removes the group, and groups below it, from every hierarchy. A group that does not exist is removed. One with
// processes stays, and the error is ErrBusy: Kill them first.
func (g Group) Remove() error {
	for _, dir := range g.dirs() {
		all := below(dir)
		slices.Reverse(all)
		for _, d := range all {
			err := unix.Rmdir(d)
			switch {
			case err == nil, gone(err):
			case errors.Is(err, unix.EBUSY):
				return fmt.Errorf("remove cgroup %q: %q: %w", g.path, d, ErrBusy)
			default:
				return fmt.Errorf("remove cgroup %q: %q: %w", g.path, d, err)
			}
		}
	}
	return nil
}
