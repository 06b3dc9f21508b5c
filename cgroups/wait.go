package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// WaitEmpty returns when no process is in the group or below it; a group that does not exist is empty. When ctx ends
// first, its error is returned. Nothing is polled at intervals: version 2 tells through cgroup.events, and elsewhere
// each process tells of its end through a pidfd.
func (g Group) WaitEmpty(ctx context.Context) error {
	if err := g.waitEmpty(ctx); err != nil {
		return fmt.Errorf("wait for cgroup %q to be empty: %w", g.path, err)
	}
	return nil
}

func (g Group) waitEmpty(ctx context.Context) error {
	if g.host.Mode == V2 {
		return g.waitEvent(ctx, "populated 0")
	}
	return g.waitListed(ctx)
}

// waitListed waits until no listed process is alive, on any hierarchy.
func (g Group) waitListed(ctx context.Context) error {
	for {
		list, err := g.open()
		if err != nil || len(list) == 0 {
			return err
		}
		fds := make([]unix.PollFd, len(list))
		for i, p := range list {
			fds[i] = unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN}
		}
		err = poll(ctx, fds)
		list.close()
		if err != nil {
			return err
		}
	}
}

// waitEvent waits until a line stands in the group's cgroup.events, or the group has ended. Version 2 only.
func (g Group) waitEvent(ctx context.Context, line string) error {
	dir, _ := g.v2()
	f, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<16))
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for l := range strings.Lines(string(text)) {
			if strings.TrimSpace(l) == line {
				return nil
			}
		}
		if err := poll(ctx, []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}); err != nil {
			return err
		}
	}
}

// poll returns when a descriptor is ready, or with ctx's error when it ends.
func poll(ctx context.Context, fds []unix.PollFd) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("new eventfd: %w", err)
	}
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(written)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // a counter at 0 takes it
	})
	defer func() {
		if !stop() {
			<-written // or it would write to whatever has the number next
		}
		unix.Close(wake)
	}()
	fds = append(fds, unix.PollFd{Fd: int32(wake), Events: unix.POLLIN})
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[len(fds)-1].Revents != 0 {
			return context.Cause(ctx)
		}
		return nil
	}
}
