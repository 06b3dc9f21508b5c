package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) kill() *cli.Command {
	return &cli.Command{
		Name:        "kill",
		Usage:       "send a signal to sandboxes' programs",
		ArgsUsage:   "ID...",
		Description: "A program that has no handler for a signal that would end it is ended by SIGKILL, since the kernel keeps other\nsignals from the first process of a PID namespace.",
		Flags:       []cli.Flag{&cli.StringFlag{Name: "signal", Aliases: []string{"s"}, Value: "KILL", Usage: "send `SIGNAL`: a name or a number"}},
		Action: m.each(func(_ context.Context, c *cli.Context, s *runtime.Sandbox) error {
			signal, err := signalOf(c.String("signal"))
			if err != nil {
				return err
			}
			return s.Signal(signal)
		}, absentIsError),
	}
}
