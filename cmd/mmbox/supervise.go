package main

import (
	"github.com/urfave/cli/v2"
)

// supervise is not for people: start runs it for each sandbox.
func (m *mmbox) supervise() *cli.Command {
	return &cli.Command{
		Name:   "supervise",
		Usage:  "launch a created sandbox and record its end",
		Hidden: true,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "finish"}},
		Action: func(c *cli.Context) error {
			args, err := names(c, 1, 1)
			if err != nil {
				return err
			}
			dir, err := m.dir()
			if err != nil {
				return err
			}
			if c.Bool("finish") {
				return dir.Finish(args[0])
			}
			m.interrupted()
			return dir.Supervise(args[0], m.filters(), []string{"--state", m.settings.state, "supervise", "--finish", args[0]})
		},
	}
}

// supervisor is the command that supervises a sandbox.
func (m *mmbox) supervisor(id string) []string {
	return []string{"--root", m.settings.root, "--state", m.settings.state, "supervise", id}
}
