package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

// graceFlag is how long a program may take to end before it is killed.
func graceFlag() cli.Flag {
	return &cli.DurationFlag{Name: "time", Value: 10 * time.Second, Usage: "kill it after `TIME`"}
}

func (m *mmbox) stop() *cli.Command {
	return &cli.Command{
		Name:        "stop",
		Usage:       "end sandboxes: by their stop signal, and after a while by force",
		ArgsUsage:   "ID...",
		Description: "Returns when each has ended. Stopping what is stopped, or does not exist, does nothing.",
		Flags:       []cli.Flag{graceFlag()},
		Action: m.each(func(ctx context.Context, c *cli.Context, s *runtime.Sandbox) error {
			return s.Stop(ctx, c.Duration("time"))
		}, absentIsDone),
	}
}

// How a verb that takes sandboxes treats one that does not exist.
type absent bool

const (
	absentIsError absent = false
	absentIsDone  absent = true
)

// each makes the action of a verb that does one thing to each sandbox that is named, prints the ids it was done to, and
// goes on after an error.
func (m *mmbox) each(do func(context.Context, *cli.Context, *runtime.Sandbox) error, missing absent) cli.ActionFunc {
	return func(c *cli.Context) error {
		ids, err := names(c, 1, -1)
		if err != nil {
			return err
		}
		dir, err := m.dir()
		if err != nil {
			return err
		}
		done := []string{}
		var errs []error
		for _, id := range ids {
			s, err := dir.Open(id)
			if err == nil {
				err = do(c.Context, c, s)
			}
			if errors.Is(err, runtime.ErrNotFound) && missing == absentIsDone {
				err = nil
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			done = append(done, id)
		}
		return errors.Join(append(errs, m.done(done))...)
	}
}

func (m *mmbox) done(ids []string) error {
	if m.settings.json {
		return m.json(map[string]any{"sandboxes": ids})
	}
	for _, id := range ids {
		if _, err := fmt.Fprintln(m.stdout, id); err != nil {
			return err
		}
	}
	return nil
}
