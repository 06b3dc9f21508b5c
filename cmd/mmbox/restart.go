package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) restart() *cli.Command {
	return &cli.Command{
		Name:        "restart",
		Usage:       "stop sandboxes and start them again as they were",
		ArgsUsage:   "ID...",
		Description: "The model version, limits and flags are those of the first start.",
		Flags:       []cli.Flag{graceFlag()},
		Action: m.each(func(ctx context.Context, c *cli.Context, s *runtime.Sandbox) error {
			if s.Log == "" {
				return withHint(fmt.Errorf("sandbox %q was run in the foreground", s.ID), "run it again with mmbox run, or in the background with mmbox start")
			}
			if err := s.Stop(ctx, c.Duration("time")); err != nil {
				return err
			}
			if err := s.Again(ctx); err != nil {
				return err
			}
			return m.detach(s)
		}, absentIsError),
	}
}
