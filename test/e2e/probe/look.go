package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A view is what a program sees of itself and its surroundings.
type view struct {
	UID         int               `json:"uid"`
	GID         int               `json:"gid"`
	Groups      []int             `json:"groups"`
	PID         int               `json:"pid"`
	Hostname    string            `json:"hostname"`
	Status      map[string]string `json:"status"`      // of /proc/self/status
	Descriptors map[string]string `json:"descriptors"` // open at the start, and what they are
	Mounts      []string          `json:"mounts"`
	Interfaces  []string          `json:"interfaces"`
	Processes   []int             `json:"processes"`
	Namespaces  map[string]string `json:"namespaces"`
	Cgroup      string            `json:"cgroup"`
	Root        []string          `json:"root"`
	Env         []string          `json:"env"`
	Dir         string            `json:"dir"`
	UIDMap      string            `json:"uid_map"`
}

func look() view {
	open := descriptors() // before anything is opened here
	v := view{UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid(), Descriptors: open, Status: map[string]string{}, Namespaces: map[string]string{}, Env: os.Environ()}
	v.Groups, _ = os.Getgroups()
	v.Hostname, _ = os.Hostname()
	v.Dir, _ = os.Getwd()
	for _, line := range lines("/proc/self/status") {
		name, value, _ := strings.Cut(line, ":")
		v.Status[name] = strings.TrimSpace(value)
	}
	v.Mounts, v.Cgroup, v.UIDMap = lines("/proc/self/mountinfo"), strings.Join(lines("/proc/self/cgroup"), "\n"), strings.Join(lines("/proc/self/uid_map"), "\n")
	interfaces, err := net.Interfaces()
	if err != nil {
		v.Interfaces = []string{err.Error()}
	}
	for _, i := range interfaces {
		v.Interfaces = append(v.Interfaces, i.Name+" "+i.Flags.String())
	}
	v.Root = names("/")
	for _, name := range names("/proc") {
		if pid, err := strconv.Atoi(name); err == nil {
			v.Processes = append(v.Processes, pid)
		}
	}
	for _, name := range names("/proc/self/ns") {
		v.Namespaces[name], _ = os.Readlink(filepath.Join("/proc/self/ns", name))
	}
	return v
}

func descriptors() map[string]string {
	found := map[string]string{}
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			target, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			found[strconv.Itoa(fd)] = target
		}
	}
	return found
}

func lines(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
