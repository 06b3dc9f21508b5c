package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

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
	log, err := readLog(s)
	if err != nil {
		return err
	}
	defer log.Close()
	if n := c.Int("tail"); n >= 0 {
		if err := seekLines(log, n); err != nil {
			return err
		}
	}
	if !c.Bool("follow") {
		_, err := io.Copy(m.stdout, log)
		return err
	}
	return m.follow(c.Context, s, log)
}

// seekLines moves to the n-th line from the end. It reads backwards in pieces, so a long log costs no more than a short
// one.
func seekLines(file *os.File, n int) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	buffer := make([]byte, 64<<10)
	for at, seen := end, 0; at > 0; {
		size := min(int64(len(buffer)), at)
		at -= size
		if _, err := file.ReadAt(buffer[:size], at); err != nil {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buffer[i] != '\n' || at+i == end-1 {
				continue
			}
			if seen++; seen == n {
				_, err := file.Seek(at+i+1, io.SeekStart)
				return err
			}
		}
	}
	if n == 0 {
		return nil
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

// follow copies what is written until the sandbox has ended, woken by the kernel at each write.
func (m *mmbox) follow(ctx context.Context, s *runtime.Sandbox, log *os.File) error {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	events := os.NewFile(uintptr(watch), "inotify")
	defer events.Close()
	if _, err := unix.InotifyAddWatch(watch, log.Name(), unix.IN_MODIFY); err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
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
