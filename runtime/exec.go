package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// An Extra is a process that Exec started in a sandbox. It is a child of the calling process and ends with it.
type Extra struct {
	PID     int
	Console *os.File // the terminal's master, or nil; the caller closes it
}

// Exec starts one more process in a running sandbox, under the sandbox's own policy: change may set its arguments,
// environment, directory and terminal. It returns ErrStopped or ErrPaused, wrapped, or an ExecError in a LaunchError. The
// context ends a start that does not come to its end: programs in the sandbox can stop others of their user.
func (s *Sandbox) Exec(ctx context.Context, l Launch, change func(*specs.Process)) (*Extra, error) {
	status, err := s.Status()
	if err != nil {
		return nil, err
	}
	switch status {
	case Paused:
		return nil, fmt.Errorf("sandbox %q: %w", s.ID, ErrPaused)
	case Running:
	default:
		return nil, fmt.Errorf("sandbox %q: %w", s.ID, ErrStopped)
	}
	extra, err := s.exec(ctx, l, change)
	if err != nil {
		return nil, &LaunchError{ID: s.ID, Code: exitCode(err), Err: err}
	}
	return extra, nil
}

func (s *Sandbox) exec(ctx context.Context, l Launch, change func(*specs.Process)) (*Extra, error) {
	spec, err := s.spec()
	if err != nil {
		return nil, err
	}
	spec.Process.Terminal = false
	change(spec.Process)
	container, err := libcontainer.Load(s.path(), s.ID)
	if err != nil {
		return nil, err
	}
	config := container.Config()
	step, err := prepare(spec, &config, l)
	if err != nil {
		return nil, err
	}
	defer step.close()
	if err := start(container, step.process); err != nil {
		return nil, explain(err)
	}
	pid, err := step.process.Pid()
	if err != nil {
		return nil, err
	}
	kill := context.AfterFunc(ctx, func() { _ = unix.Kill(pid, unix.SIGKILL) }) // its number is its own until it is reaped
	err = step.executed()
	if killed := !kill(); killed && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		// The shim has exited or been killed. Left unreaped, it would keep the sandbox's PID namespace from ending.
		_, reaped := reap(pid)
		return nil, errors.Join(err, reaped)
	}
	console, err := step.master()
	return &Extra{PID: pid, Console: console}, err
}

// Signal sends a signal to the process.
func (e *Extra) Signal(signal unix.Signal) error {
	return os.NewSyscallError("kill", unix.Kill(e.PID, signal))
}

// Wait waits for the process to end and returns its exit code, 128 + n for a signal. It is called once.
func (e *Extra) Wait() (int, error) {
	status, err := reap(e.PID)
	if err != nil {
		return 0, err
	}
	return endOf(status).ExitCode, nil
}
