package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) pause() *cli.Command {
	return &cli.Command{
		Name:      "pause",
		Usage:     "stop sandboxes' processes where they are",
		ArgsUsage: "ID...",
		Action:    m.each(func(_ context.Context, _ *cli.Context, s *runtime.Sandbox) error { return s.Pause() }, absentIsError),
	}
}

func (m *mmbox) resume() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "let paused sandboxes go on",
		ArgsUsage: "ID...",
		Action:    m.each(func(_ context.Context, _ *cli.Context, s *runtime.Sandbox) error { return s.Resume() }, absentIsError),
	}
}
