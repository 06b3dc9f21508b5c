package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/cgroups"
)

// A host is where and with what was measured.
type host struct {
	Kernel   string            `json:"kernel"`
	Arch     string            `json:"arch"`
	CPUs     int               `json:"cpus"`
	Load     string            `json:"load"` // average of the last minute, when the measuring began
	Cgroups  cgroups.Mode      `json:"cgroups"`
	HiddenV2 bool              `json:"hidden_v2"`
	Versions map[string]string `json:"versions"`
	order    []*contender
}

func describe(ctx context.Context, list []*contender) (host, error) {
	h := host{Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Versions: map[string]string{}, order: list}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return h, fmt.Errorf("uname: %w", err)
	}
	h.Kernel = unix.ByteSliceToString(name.Release[:])
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return h, err
	}
	h.Load, _, _ = strings.Cut(string(load), " ")
	found, err := cgroups.Detect(cgroups.DefaultFS)
	if err != nil {
		return h, err
	}
	h.Cgroups = found.Mode
	for _, c := range list {
		if c.version == nil {
			continue
		}
		out, err := exec.CommandContext(ctx, c.program, c.version...).Output()
		if err != nil {
			return h, fmt.Errorf("version of %s: %w", c.program, err)
		}
		h.Versions[c.name], _, _ = strings.Cut(string(out), "\n")
	}
	return h, nil
}

func (h host) print(w io.Writer) {
	mode := string(h.Cgroups)
	if h.HiddenV2 {
		mode = "hybrid; every contender sees v1 alone, since crun refuses hybrid hosts"
	}
	fmt.Fprintf(w, "Linux %s %s, %d processors, load %s when it began\ncgroups: %s\n", h.Kernel, h.Arch, h.CPUs, h.Load, mode)
	for _, c := range h.order {
		fmt.Fprintf(w, "%-9s %s", c.name, c.about)
		if v := h.Versions[c.name]; v != "" {
			fmt.Fprintf(w, ": %s", v)
		}
		fmt.Fprintln(w)
	}
}
