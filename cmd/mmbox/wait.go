package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) wait() *cli.Command {
	return &cli.Command{
		Name:        "wait",
		Usage:       "wait until sandboxes have ended and print their exit codes",
		ArgsUsage:   "ID...",
		Description: "Prints one line a sandbox: id and exit code.",
		Flags:       []cli.Flag{&cli.DurationFlag{Name: "timeout", Usage: "give up after `TIME`; the exit code is then 124"}},
		Action:      m.waitAction,
	}
}

// A waited sandbox is one that has ended, as wait prints it.
type waited struct {
	ID string `json:"id"`
	*runtime.End
}

func (m *mmbox) waitAction(c *cli.Context) error {
	ids, err := names(c, 1, -1)
	if err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	ctx := c.Context
	if limit := c.Duration("timeout"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTimeout)
		defer cancel()
	}
	var list []waited
	var rows [][]string
	for _, id := range ids {
		s, err := dir.Open(id)
		if err != nil {
			return err
		}
		if err := s.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("wait for sandbox %q: %w", id, errTimeout)
		} else if err != nil {
			return err
		}
		if s.End == nil {
			s.End = &runtime.End{ExitCode: exitMmbox, Lost: true}
		}
		list = append(list, waited{id, s.End})
		rows = append(rows, []string{id, itoa(s.End.ExitCode)})
	}
	return m.list("sandboxes", list, nil, rows)
}
