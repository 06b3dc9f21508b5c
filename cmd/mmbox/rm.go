package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) rm() *cli.Command {
	return &cli.Command{
		Name:        "rm",
		Usage:       "remove ended sandboxes with their records and logs",
		ArgsUsage:   "ID...",
		Description: "Removing what does not exist does nothing.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "kill it first if it runs"}},
		Action: m.each(func(ctx context.Context, c *cli.Context, s *runtime.Sandbox) error {
			err := s.Delete(ctx)
			if !errors.Is(err, runtime.ErrRunning) || !c.Bool("force") {
				return err
			}
			if err := s.Kill(ctx); err != nil {
				return err
			}
			return s.Delete(ctx)
		}, absentIsDone),
	}
}
