package main

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) logs() *cli.Command {
	return &cli.Command{
		Name:        "logs",
		Usage:       "print what a sandbox has printed",
		ArgsUsage:   "ID",
		Description: "Of a detached sandbox: what its program wrote to standard output and standard error, in the order it came.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on until the sandbox ends"},
			&cli.IntFlag{Name: "tail", Aliases: []string{"n"}, Value: -1, Usage: "begin `N` lines before the end"},
		},
		Action: m.logsAction,
	}
}

func (m *mmbox) logsAction(c *cli.Context) error {
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
	log, err := openLog(s)
	if err != nil {
		return err
	}
	defer log.Close()
	m.interrupted() // there is nothing to clear up: a signal ends a copy at once
	if n := c.Int("tail"); n >= 0 {
		if err := log.seek(n); err != nil {
			return err
		}
	}
	if _, err := io.Copy(m.stdout, log); err != nil {
		return err
	}
	if !c.Bool("follow") {
		return nil
	}
	return m.follow(c.Context, s, log)
}

// follow copies what is written until the sandbox has ended, woken by the kernel at each write.
func (m *mmbox) follow(ctx context.Context, s *runtime.Sandbox, log *logReader) error {
	events, err := log.watch()
	if err != nil {
		return err
	}
	defer events.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- s.Wait(ctx)
		events.Close() // ends the read below
	}()
	buffer := make([]byte, 4096)
	for {
		if _, err := io.Copy(m.stdout, log); err != nil {
			return err
		}
		if _, err := events.Read(buffer); err != nil {
			break
		}
	}
	if err := <-ended; err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return err
	}
	_, err = io.Copy(m.stdout, log)
	return err
}
