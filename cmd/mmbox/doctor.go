package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mmbox/cgroups"
	"mmbox/isolation"
)

func (m *mmbox) doctor() *cli.Command {
	return &cli.Command{
		Name:        "doctor",
		Usage:       "say what this host can enforce and what it lacks",
		Description: "The exit code is 1 where the default sandbox cannot be made.",
		Action:      m.doctorAction,
	}
}

// A diagnosis is what doctor finds out.
type diagnosis struct {
	Kernel   string              `json:"kernel"`
	Root     bool                `json:"root"`
	Cgroups  cgroups.Mode        `json:"cgroups"`
	Features []isolation.Feature `json:"features"`
	Extras   []extra             `json:"extras"`
	OK       bool                `json:"ok"`
}

// An extra is something that is good to have.
type extra struct {
	Name  string        `json:"name"`
	Use   string        `json:"use"`
	Since string        `json:"since"`
	State cgroups.State `json:"state"`
}

func (m *mmbox) doctorAction(c *cli.Context) error {
	if _, err := names(c, 0, 0); err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	host := dir.Host()
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return os.NewSyscallError("uname", err)
	}
	d := diagnosis{Kernel: unix.ByteSliceToString(uname.Release[:]), Root: os.Geteuid() == 0, Cgroups: host.Mode}
	d.Features = isolation.Features(isolation.DefaultProc, host)
	d.OK = d.Root
	for _, f := range d.Features {
		d.OK = d.OK && f.OK
	}
	for _, f := range host.Features {
		d.Extras = append(d.Extras, extra{f.Name, f.Use, f.Since, f.State})
	}
	if err := m.showDiagnosis(d); err != nil {
		return err
	}
	if !d.OK {
		return &exit{exitFailed}
	}
	return nil
}

func (m *mmbox) showDiagnosis(d diagnosis) error {
	if m.settings.json {
		return m.json(d)
	}
	fmt.Fprintf(m.stdout, "kernel %s, cgroups %s\n\n", d.Kernel, d.Cgroups)
	rows := [][]string{{mark(d.Root), "root", "making namespaces and cgroups", hint(d.Root, "run mmbox as root")}}
	for _, f := range d.Features {
		rows = append(rows, []string{mark(f.OK), f.Name, f.Use, hint(f.OK, f.Hint)})
	}
	for _, e := range d.Extras {
		word := map[cgroups.State]string{cgroups.Yes: "ok", cgroups.No: "-", cgroups.Unknown: "?"}[e.State]
		rows = append(rows, []string{word, e.Name, e.Use, hint(e.State == cgroups.Yes, "good to have; with cgroup "+e.Since)})
	}
	if err := m.table(nil, rows); err != nil {
		return err
	}
	verdict := "this host can enforce the default sandbox"
	if !d.OK {
		verdict = "this host cannot enforce the default sandbox; --best-effort goes without what can be gone without"
	}
	_, err := fmt.Fprintf(m.stdout, "\n%s\n", verdict)
	return err
}

func mark(ok bool) string {
	if ok {
		return "ok"
	}
	return "MISSING"
}

func hint(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}
