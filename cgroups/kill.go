package cgroups

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Kill ends every process in the group, those forked meanwhile and frozen ones too, and returns when none is left. A
// group that does not exist has none. When ctx ends first, its error is returned and the processes are ending.
//
// Version 2 does it in one write (cgroup.kill, kernel 5.14). Elsewhere the group is frozen so that nothing forks away,
// each process is killed through a pidfd, the group is thawed so that they can end, and this again until it is empty.
func (g Group) Kill(ctx context.Context) error {
	if err := g.kill(ctx); err != nil {
		return fmt.Errorf("kill cgroup %q: %w", g.path, err)
	}
	return nil
}

func (g Group) kill(ctx context.Context) error {
	if dir, ok := g.v2(); ok {
		err := write(filepath.Join(dir, "cgroup.kill"), "1")
		switch {
		case err == nil && g.host.Mode == V2:
			return g.waitEmpty(ctx)
		case err != nil && !gone(err):
			return err
		}
		// On a hybrid host a process can be in a version 1 hierarchy alone. An older kernel has no such file.
	}
	for {
		// Freezing the first group of a host patches the kernel's code on every processor, so an empty group, as one is
		// when its program has ended, is only looked at. Nothing can be forked into it.
		if pids, err := g.PIDs(); err != nil || len(pids) == 0 {
			return err
		}
		alive, err := g.killFrozen()
		if err != nil || !alive {
			return err
		}
		if err := g.waitListed(ctx); err != nil {
			return err
		}
	}
}

// killFrozen kills what is in the group and tells whether anything was. Freezing is asked for but not waited for: a
// process that is about to fork finishes that, and the next pass finds the child. A process with a kill pending no
// longer forks, so the passes end.
func (g Group) killFrozen() (alive bool, err error) {
	frozen := g.freezeFiles()
	if err := setFrozen(frozen, true); err != nil {
		return false, err
	}
	killed := map[int]bool{}
	for more := true; more && err == nil; {
		more, err = g.killListed(killed)
	}
	return len(killed) > 0, errors.Join(err, setFrozen(frozen, false))
}

// killListed kills the group's processes that are not in killed, adds them to it, and tells whether there were any.
func (g Group) killListed(killed map[int]bool) (more bool, err error) {
	list, err := g.open()
	if err != nil {
		return false, err
	}
	defer list.close()
	for _, p := range list {
		if killed[p.pid] {
			continue
		}
		if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, fmt.Errorf("process %d: %w", p.pid, err)
		}
		killed[p.pid] = true
		more = true
	}
	return more, nil
}

// A process is a handle on one: its number may be given to another once it has ended, the descriptor never is.
type process struct {
	pid int
	fd  int
}

type processes []process

func (list processes) close() {
	for _, p := range list {
		unix.Close(p.fd) // nothing was written through it
	}
}

// open returns handles on the group's processes that have not ended. The caller closes them.
func (g Group) open() (list processes, err error) {
	pids, err := g.PIDs()
	if err != nil {
		return nil, err
	}
	var opened processes
	defer func() { opened.close() }()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: 0, a process outside our pid namespace
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open process %d: %w", pid, err)
		}
		opened = append(opened, process{pid, fd})
	}
	// Between being listed and being opened a process may have ended and its number been given away. Only what is
	// listed a second time was ours when it was opened.
	again, err := g.PIDs()
	if err != nil {
		return nil, err
	}
	ours := map[int]bool{}
	for _, pid := range again {
		ours[pid] = true
	}
	var others processes
	for _, p := range opened {
		if dead, err := ended(p.fd); err != nil {
			return nil, err
		} else if ours[p.pid] && !dead {
			list = append(list, p)
		} else {
			others = append(others, p)
		}
	}
	opened = others
	return list, nil
}

// ended tells whether a pidfd's process has ended, as zombies have.
func ended(fd int) (bool, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}
