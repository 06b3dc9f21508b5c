package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"mmbox/cgroups"
	"mmbox/runtime"
)

func (m *mmbox) inspect() *cli.Command {
	return &cli.Command{
		Name:        "inspect",
		Usage:       "show all about a sandbox: what confines it, what it uses, how it ended",
		ArgsUsage:   "ID",
		Description: "With --format json the OCI specification that it was made from is included.",
		Action:      m.inspectAction,
	}
}

// An inspection is what inspect shows.
type inspection struct {
	Status runtime.Status `json:"status"`
	*runtime.Record
	Uptime *float64       `json:"uptime_seconds,omitempty"`
	Usage  *cgroups.Stats `json:"usage,omitempty"`
	Spec   *specs.Spec    `json:"spec"`
}

func (m *mmbox) inspectAction(c *cli.Context) error {
	ids, err := names(c, 1, 1)
	if err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	s, err := dir.Open(ids[0])
	if err != nil {
		return err
	}
	i := inspection{Record: &s.Record}
	if i.Status, err = s.Status(); err != nil {
		return err
	}
	if i.Spec, err = s.Specification(); err != nil {
		return err
	}
	if i.Status == runtime.Running || i.Status == runtime.Paused {
		uptime := time.Since(s.Started).Seconds()
		i.Uptime = &uptime
		usage, err := s.Usage()
		if err == nil {
			i.Usage = &usage
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if m.settings.json {
		return m.json(i)
	}
	return m.table(nil, i.rows())
}

// rows are the inspection for a person.
func (i inspection) rows() [][]string {
	r := i.Record
	rows := [][]string{
		{"sandbox", r.ID},
		{"model", fmt.Sprintf("%s@%s", r.Model, r.Version)},
		{"digest", string(r.Digest)},
		{"status", string(i.Status)},
		{"program", strings.Join(i.Spec.Process.Args, " ")},
	}
	add := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	if r.PID != 0 && r.End == nil {
		add("process", "%d, since %s", r.PID, ago(r.Started))
	}
	add("user", "%s", i.user())
	add("namespaces", "%s", i.namespaces())
	add("root", "read-only, %s", i.Spec.Root.Path)
	add("network", "%s", i.network())
	add("seccomp", "%s", i.seccomp())
	add("privileges", "no_new_privs %t, capabilities %s", i.Spec.Process.NoNewPrivileges, none(i.Spec.Process.Capabilities.Bounding))
	add("limits", "cpu %g, memory %s (no swap), pids %d, tmp %s", float64(r.Limits.CPU)/1000, bytes(r.Limits.Memory), r.Limits.PIDs, bytes(int64(r.Tmp)))
	add("loosened", "%s", none(r.Loosened))
	for _, w := range r.Warnings {
		add("warning", "%s", w)
	}
	if i.Usage != nil {
		add("uses", "%s", uses(*i.Usage))
	}
	if r.Log != "" {
		add("log", "%s", r.Log)
	}
	var phases []string
	for _, p := range r.Phases {
		phases = append(phases, fmt.Sprintf("%s %.1f ms", p.Name, p.Seconds*1000))
	}
	if len(phases) > 0 {
		add("start", "%s", strings.Join(phases, ", "))
	}
	if r.End != nil {
		add("end", "%s", ending(r))
	}
	return rows
}

func none(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (i inspection) user() string {
	u := i.Spec.Process.User
	if i.Record.Users.Size == 0 {
		return fmt.Sprintf("uid %d, the host's own", u.UID)
	}
	return fmt.Sprintf("uid %d inside, %d on the host", u.UID, i.Record.Users.First+u.UID)
}

func (i inspection) namespaces() string {
	var list []string
	for _, ns := range i.Spec.Linux.Namespaces {
		list = append(list, string(ns.Type))
	}
	return strings.Join(list, ", ")
}

func (i inspection) network() string {
	for _, ns := range i.Spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			return "none but loopback"
		}
	}
	return "the host's"
}

func (i inspection) seccomp() string {
	f := i.Spec.Linux.Seccomp
	if f == nil {
		return "unconfined"
	}
	allowed := map[string]bool{}
	for _, rule := range f.Syscalls {
		if rule.Action == specs.ActAllow {
			for _, name := range rule.Names {
				allowed[name] = true
			}
		}
	}
	return fmt.Sprintf("default: %d system calls allowed, others refused", len(allowed))
}

func uses(s cgroups.Stats) string {
	var parts []string
	if s.MemoryBytes != nil {
		parts = append(parts, "memory "+bytes(int64(*s.MemoryBytes)))
	}
	if s.MemoryPeakBytes != nil {
		parts = append(parts, "peak "+bytes(int64(*s.MemoryPeakBytes)))
	}
	if s.CPUUsage != nil {
		parts = append(parts, fmt.Sprintf("cpu %.2f s", s.CPUUsage.Seconds()))
	}
	if s.PIDs != nil {
		parts = append(parts, fmt.Sprintf("pids %d", *s.PIDs))
	}
	return strings.Join(parts, ", ")
}

func ending(r *runtime.Record) string {
	e := r.End
	text := fmt.Sprintf("exit code %d, %s ago", e.ExitCode, ago(e.Finished))
	if !r.Started.IsZero() {
		text += fmt.Sprintf(", after %.1f ms", e.Finished.Sub(r.Started).Seconds()*1000)
	}
	switch {
	case e.FailedStart != "":
		text = fmt.Sprintf("never ran: %s", e.FailedStart)
	case e.Lost:
		text = "lost: its supervisor was killed, how it ended is not known"
	case e.OOMKilled:
		text += ", out of memory"
	case e.Signal != "":
		text += ", by " + e.Signal
	}
	if e.MemoryPeak != nil {
		text += ", peak memory " + bytes(int64(*e.MemoryPeak))
	}
	if e.CPUSeconds != nil {
		text += fmt.Sprintf(", cpu %.2f s", *e.CPUSeconds)
	}
	return text
}
