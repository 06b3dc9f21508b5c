package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"mmbox/cgroups"
	"mmbox/runtime/process"
)

// A Sandbox is a bundle brought to life, or about to be, or that was. Its Record is a copy made when it was opened.
type Sandbox struct {
	Record
	dir  Dir
	own  *os.File    // the lock, while this process has the lease
	made *specs.Spec // what this process wrote to config.json, until Launch has used it
}

func (s *Sandbox) path() string { return s.dir.path(s.ID) }

func (s *Sandbox) group() cgroups.Group { return s.dir.group(s.dir.Cgroup(s.ID)) }

// group names a cgroup whose path this package made.
func (d Dir) group(path string) cgroups.Group {
	g, err := d.host.Group(path)
	if err != nil {
		panic(err)
	}
	return g
}

// lease takes the lease and keeps it until Close. It returns unix.EWOULDBLOCK, wrapped, if somebody else has it.
func (s *Sandbox) lease() error {
	file, err := os.OpenFile(s.lockPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	for {
		if err = flock(file, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		// It may only be looked at: whoever asks for the state or waits for the end holds a shared lock for a moment.
		if held, herr := s.held(); held || herr != nil {
			err = errors.Join(err, herr)
			break
		}
		time.Sleep(lookTime)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("lease: %w", err), file.Close())
	}
	s.own = file
	return nil
}

// lookTime is more than a look at a lease takes.
const lookTime = time.Millisecond

func (s *Sandbox) lockPath() string { return filepath.Join(s.path(), "lock") }

// take takes the lease of a sandbox that lives no more, and reads its record anew. It waits for whoever is at removing it
// or recording its end. It returns ErrRunning, wrapped, for one that lives, and ErrNotFound for one that is gone.
func (s *Sandbox) take(ctx context.Context) error {
	for {
		err := s.lease()
		busy := errors.Is(err, unix.EWOULDBLOCK)
		if err != nil && !busy && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sandbox %q: %w", s.ID, err)
		}
		if err := s.load(); err != nil {
			err = errors.Join(fmt.Errorf("sandbox %q: %w", s.ID, err), s.Close())
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("sandbox %q: %w", s.ID, ErrNotFound)
			}
			return err
		}
		if !busy {
			return nil
		}
		if s.End == nil {
			return fmt.Errorf("sandbox %q: %w", s.ID, ErrRunning)
		}
		if err := s.Wait(ctx); err != nil {
			return err
		}
	}
}

// Close lets the lease go, if this process has it.
func (s *Sandbox) Close() error {
	if s.own == nil {
		return nil
	}
	err := s.own.Close()
	s.own = nil
	return err
}

// held reports whether anybody has the lease.
func (s *Sandbox) held() (bool, error) {
	if s.own != nil {
		return true, nil
	}
	file, err := os.Open(s.lockPath())
	if err != nil {
		return false, err
	}
	defer file.Close()
	err = flock(file, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Wait waits until the sandbox has ended and its end is recorded, and reads the record anew. A sandbox that is removed
// as it ends leaves ErrNotFound, wrapped. For a Lost sandbox Wait returns at once with a nil End.
func (s *Sandbox) Wait(ctx context.Context) error {
	file, err := os.Open(s.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrNotFound)
	}
	if err == nil {
		err = unlocked(ctx, file)
	}
	if err != nil {
		return fmt.Errorf("wait for sandbox %q: %w", s.ID, err)
	}
	if err := s.load(); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrNotFound)
	} else if err != nil {
		return fmt.Errorf("wait for sandbox %q: %w", s.ID, err)
	}
	return nil
}

// live returns a descriptor of the sandbox's program, which the caller closes, or ErrStopped, wrapped.
func (s *Sandbox) live() (pidfd int, err error) {
	stopped := fmt.Errorf("sandbox %q: %w", s.ID, ErrStopped)
	if s.PID == 0 || s.End != nil {
		return -1, stopped
	}
	fd, err := unix.PidfdOpen(s.PID, 0)
	if err == unix.ESRCH {
		return -1, stopped
	}
	if err != nil {
		return -1, fmt.Errorf("sandbox %q: %w", s.ID, os.NewSyscallError("pidfd_open", err))
	}
	if began, err := process.Began(s.PID); err != nil || began != s.PIDStart {
		return -1, errors.Join(stopped, unix.Close(fd)) // ended, or its number is another's by now
	}
	return fd, nil
}

// Signal sends a signal to the sandbox's program. The kernel drops a signal for the first process of a PID namespace
// that has no handler for it; where the signal would have ended any other program, it is delivered as SIGKILL, and the
// record says so.
func (s *Sandbox) Signal(signal unix.Signal) error {
	fd, err := s.live()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	deliver := signal
	var unnoted error
	if process.Fatal(signal) && !process.Catches(s.PID, signal) {
		unnoted = s.request(signal) // what the signal was matters less than that it arrives
		deliver = unix.SIGKILL
	}
	if err := unix.PidfdSendSignal(fd, deliver, nil, 0); err == unix.ESRCH {
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrStopped)
	} else if err != nil {
		return fmt.Errorf("signal sandbox %q: %w", s.ID, err)
	}
	if unnoted != nil {
		unnoted = fmt.Errorf("note signal of sandbox %q: %w", s.ID, unnoted)
	}
	if deliver == unix.SIGKILL {
		// On cgroup v1 a frozen process dies only once it is thawed.
		if err := s.group().Thaw(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("signal sandbox %q: %w", s.ID, err)
		}
	}
	return unnoted
}

// Stop asks the sandbox's program to end, by its stop signal or SIGTERM, and kills all of the sandbox's processes after
// the grace period. It returns when the end is recorded. Stopping what is stopped does nothing.
func (s *Sandbox) Stop(ctx context.Context, grace time.Duration) error {
	signal := unix.SIGTERM
	if s.StopSignal != "" {
		signal = unix.SignalNum(s.StopSignal)
	}
	if err := s.Signal(signal); errors.Is(err, ErrStopped) {
		return s.ended(ctx)
	} else if err != nil {
		return err
	}
	if err := s.Resume(); err != nil && !errors.Is(err, ErrNotPaused) && !errors.Is(err, ErrStopped) {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.ended(patient); err == nil || ctx.Err() != nil || patient.Err() == nil {
		return err
	}
	return s.Kill(ctx)
}

// Kill ends all of the sandbox's processes at once and returns when the end is recorded. Killing what is stopped does
// nothing.
func (s *Sandbox) Kill(ctx context.Context) error {
	if err := s.group().Kill(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kill sandbox %q: %w", s.ID, err)
	}
	return s.ended(ctx)
}

// ended is Wait for callers to whom a removed sandbox is an ended one.
func (s *Sandbox) ended(ctx context.Context) error {
	if err := s.Wait(ctx); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// freezePatience is how long a pause waits for processes that the kernel cannot stop yet.
const freezePatience = 10 * time.Second

// Pause stops the sandbox's processes where they are. It returns ErrPaused or ErrStopped, wrapped.
func (s *Sandbox) Pause() error {
	return s.freeze(Running, func(g cgroups.Group) error {
		ctx, cancel := context.WithTimeout(context.Background(), freezePatience)
		defer cancel()
		return g.Freeze(ctx)
	})
}

// Resume lets a paused sandbox go on. It returns ErrNotPaused or ErrStopped, wrapped.
func (s *Sandbox) Resume() error { return s.freeze(Paused, cgroups.Group.Thaw) }

func (s *Sandbox) freeze(from Status, do func(cgroups.Group) error) error {
	status, err := s.Status()
	if err != nil {
		return err
	}
	switch {
	case status == Paused && from != Paused:
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrPaused)
	case status == Running && from != Running:
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrNotPaused)
	case status != from:
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrStopped)
	}
	if err := do(s.group()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sandbox %q: %w", s.ID, ErrStopped)
	} else if err != nil {
		return fmt.Errorf("sandbox %q: %w", s.ID, err)
	}
	return nil
}

// Specification returns the OCI specification that the sandbox was made from.
func (s *Sandbox) Specification() (*specs.Spec, error) { return s.spec() }

// Root returns the sandbox's root file system on the host.
func (s *Sandbox) Root() (string, error) {
	spec, err := s.spec()
	if err != nil {
		return "", fmt.Errorf("sandbox %q: %w", s.ID, err)
	}
	return spec.Root.Path, nil
}

// Usage reads what the sandbox uses now. It returns fs.ErrNotExist, wrapped, when the sandbox has ended.
func (s *Sandbox) Usage() (cgroups.Stats, error) { return s.group().Stats() }
