package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (m *mmbox) ps() *cli.Command {
	return &cli.Command{
		Name:        "ps",
		Usage:       "list sandboxes",
		Description: "Lists those that run; all with --all.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "list those that have ended too"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print ids only"},
			&cli.StringSliceFlag{Name: "label", Aliases: []string{"l"}, Usage: "only those with this label, as `NAME=VALUE` or NAME"},
		},
		Action: m.psAction,
	}
}

// A listed sandbox is its record with what it does now.
type listed struct {
	Status runtime.Status `json:"status"`
	*runtime.Record
}

func (m *mmbox) psAction(c *cli.Context) error {
	if _, err := names(c, 0, 0); err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	sandboxes, broken := dir.List()
	var list []listed
	var rows [][]string
	for _, s := range sandboxes {
		status, err := s.Status()
		if errors.Is(err, runtime.ErrNotFound) {
			continue // removed since
		}
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		alive := status == runtime.Running || status == runtime.Paused || status == runtime.Creating
		if !alive && !c.Bool("all") || !matches(s.Labels, c.StringSlice("label")) {
			continue
		}
		list = append(list, listed{status, &s.Record})
		rows = append(rows, psRow(s, status))
	}
	if c.Bool("quiet") && !m.settings.json {
		for _, l := range list {
			fmt.Fprintln(m.stdout, l.ID)
		}
		return broken
	}
	return errors.Join(m.list("sandboxes", list, []string{"ID", "MODEL", "STATUS", "SINCE", "PID", "LIMITS"}, rows), broken)
}

func psRow(s *runtime.Sandbox, status runtime.Status) []string {
	state, since, pid := string(status), s.Started, "-"
	switch {
	case s.End != nil:
		state, since = fmt.Sprintf("%s (%d)", status, s.End.ExitCode), s.End.Finished
		if s.End.OOMKilled {
			state = fmt.Sprintf("%s (%d, out of memory)", status, s.End.ExitCode)
		}
	case s.PID != 0:
		pid = itoa(s.PID)
	}
	limits := fmt.Sprintf("cpu %g, memory %s, pids %d", float64(s.Limits.CPU)/1000, bytes(s.Limits.Memory), s.Limits.PIDs)
	return []string{s.ID, s.Model + "@" + s.Version, state, ago(since), pid, limits}
}

func matches(labels map[string]string, wanted []string) bool {
	for _, w := range wanted {
		name, value, hasValue := strings.Cut(w, "=")
		got, ok := labels[name]
		if !ok || hasValue && got != value {
			return false
		}
	}
	return true
}
