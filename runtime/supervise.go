package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/runtime/shim"
)

// A LaunchError says that a sandbox's program was not executed, and by which code a command says so: 125, 126 or 127.
type LaunchError struct {
	ID   string
	Code int
	Err  error
}

func (e *LaunchError) Error() string { return fmt.Sprintf("start sandbox %q: %v", e.ID, e.Err) }

// Unwrap returns the reason.
func (e *LaunchError) Unwrap() error { return e.Err }

// The descriptors that a supervisor finds open.
const (
	leaseFD = 3
	readyFD = 4 // closed once the program runs, or cannot
)

// Start hands a created sandbox to a supervisor of its own and returns when the program is executed. supervisor is a
// command, without its program's path, that calls Supervise; its output is the sandbox's. The lease goes to the
// supervisor whatever happens.
func (s *Sandbox) Start(supervisor []string, log *os.File) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	r, w, err := os.Pipe()
	if err != nil {
		return &LaunchError{ID: s.ID, Code: 125, Err: err}
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        append([]string{os.Args[0]}, supervisor...),
		Dir:         "/",
		Stdout:      log,
		Stderr:      log,
		ExtraFiles:  []*os.File{s.own, w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return &LaunchError{ID: s.ID, Code: 125, Err: fmt.Errorf("start supervisor: %w", err)}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return &LaunchError{ID: s.ID, Code: 125, Err: err}
	}
	if err := s.load(); err != nil {
		return &LaunchError{ID: s.ID, Code: 125, Err: err}
	}
	switch {
	case s.End != nil && s.End.FailedStart != "":
		return &LaunchError{ID: s.ID, Code: s.End.ExitCode, Err: errors.New(s.End.FailedStart)}
	case s.Started.IsZero():
		return &LaunchError{ID: s.ID, Code: 125, Err: errors.New("the supervisor was killed")}
	}
	return nil
}

// Supervise is the supervisor that Start starts: it launches the sandbox and replaces its own process by one that only
// keeps the log, and that executes finish, a command without its program's path that calls Finish, when the sandbox has
// ended. It returns only when it fails.
func (d Dir) Supervise(id string, filters string, finish []string) error {
	s, err := d.inherit(id)
	if err != nil {
		return err
	}
	ready := os.NewFile(readyFD, "ready")
	launch := Launch{Filters: filters}
	pipe, log, err := s.output(&launch)
	if err != nil {
		return errors.Join(err, s.failed(err), ready.Close())
	}
	_, err = s.Launch(launch)
	if err := errors.Join(err, launch.Out.Close(), ready.Close()); err != nil {
		return err
	}
	// The binary may be replaced or removed while the sandbox lives; an open one stays.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	self, err := shim.File()
	if err != nil {
		return err
	}
	// Launch marked every descriptor to be closed; these must live on.
	for _, f := range []*os.File{s.own, pipe, log.file, exe} {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return os.NewSyscallError("fcntl", err)
		}
	}
	watch := shim.Watch(s.PID, shim.Log{
		Pipe: pipe.Fd(), File: log.file.Fd(), Path: s.Log, Old: OldLog(s.Log), Size: log.size, Most: logSize,
	}, descriptorPath(exe), append([]string{os.Args[0]}, finish...))
	err = unix.Exec(descriptorPath(self), watch, os.Environ())
	return os.NewSyscallError("execve", err)
}

// descriptorPath is a path to an open file of this process, for this process.
func descriptorPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// logSize is the size in bytes at which a log gets its second name and a new one begins.
const logSize = 16 << 20

// OldLog is the second name of a log that was full: it then begins anew.
func OldLog(path string) string { return path + ".1" }

// A logFile is a log open at its end.
type logFile struct {
	file *os.File
	size int64
}

// output gives a detached program its standard streams. It prints to a pipe and not to the log itself, in which it could
// otherwise seek, which it could cut short or make as large as the disk.
func (s *Sandbox) output(l *Launch) (pipe *os.File, log logFile, err error) {
	if s.Record.Input {
		if l.In, err = s.input(); err != nil {
			return nil, log, err
		}
	}
	if log.file, err = os.OpenFile(s.Log, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		return nil, log, fmt.Errorf("open log: %w", err)
	}
	if log.size, err = log.file.Seek(0, io.SeekEnd); err != nil {
		return nil, log, fmt.Errorf("open log: %w", err)
	}
	if pipe, l.Out, err = os.Pipe(); err != nil {
		return nil, log, err
	}
	l.Err = l.Out
	return pipe, log, nil
}

// Input is the path of the pipe that a detached sandbox reads as its standard input, if its record says that it has one.
// It exists while the sandbox runs.
func (s *Sandbox) Input() string { return filepath.Join(s.path(), "in") }

// input makes that pipe. It is opened for writing too, so that the program sees no end when a writer leaves.
func (s *Sandbox) input() (*os.File, error) {
	if err := removeIfThere(s.Input()); err != nil {
		return nil, err
	}
	if err := unix.Mkfifo(s.Input(), 0o600); err != nil {
		return nil, &fs.PathError{Op: "mkfifo", Path: s.Input(), Err: err}
	}
	return os.OpenFile(s.Input(), os.O_RDWR, 0)
}

// Finish records the end of a sandbox that Supervise watched.
func (d Dir) Finish(id string) error {
	s, err := d.inherit(id)
	if err != nil {
		return err
	}
	_, err = s.Reap()
	return err
}

func (d Dir) inherit(id string) (*Sandbox, error) {
	s, err := d.Open(id)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(leaseFD)
	s.own = os.NewFile(leaseFD, filepath.Join(s.path(), "lock"))
	return s, nil
}

// Reap waits for the program of a sandbox that this process supervises, clears what the sandbox used of the kernel,
// records the end and lets the lease go. A sandbox to be removed when it ends is removed.
func (s *Sandbox) Reap() (*End, error) {
	status, err := reap(s.PID)
	if err != nil {
		return nil, fmt.Errorf("wait for sandbox %q: %w", s.ID, err)
	}
	end := endOf(status)
	if err := s.measure(end); err != nil {
		return nil, fmt.Errorf("measure sandbox %q: %w", s.ID, err)
	}
	if err := s.requested(end); err != nil {
		return nil, fmt.Errorf("end sandbox %q: %w", s.ID, err)
	}
	s.End = end
	err = s.clear(context.Background())
	if s.Remove {
		return end, errors.Join(err, s.discard())
	}
	return end, errors.Join(err, s.save(), s.Close())
}

// reap waits for a child to end.
func reap(pid int) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err != unix.EINTR {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}

func endOf(status unix.WaitStatus) *End {
	end := &End{Finished: time.Now(), ExitCode: status.ExitStatus()}
	if status.Signaled() {
		end.ExitCode = 128 + int(status.Signal())
		end.Signal = unix.SignalName(status.Signal())
	}
	return end
}

// measure reads the cgroup's last figures. What a host does not count stays nil.
func (s *Sandbox) measure(end *End) error {
	stats, err := s.group().Stats()
	if err != nil {
		return err
	}
	end.OOMKills, end.MemoryPeak = stats.OOMKills, stats.MemoryPeakBytes
	if stats.CPUUsage != nil {
		seconds := stats.CPUUsage.Seconds()
		end.CPUSeconds = &seconds
	}
	end.OOMKilled = end.OOMKills != nil && *end.OOMKills > 0
	return nil
}

const requestFile = "requested"

// request notes that a signal is about to be delivered as SIGKILL, for the supervisor to record.
func (s *Sandbox) request(signal unix.Signal) error {
	return replaceFile(filepath.Join(s.path(), requestFile), []byte(unix.SignalName(signal)))
}

// requested gives an end by SIGKILL the exit code of the signal that was meant.
func (s *Sandbox) requested(end *End) error {
	name, err := os.ReadFile(filepath.Join(s.path(), requestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if signal := unix.SignalNum(strings.TrimSpace(string(name))); signal != 0 && end.Signal == "SIGKILL" && !end.OOMKilled {
		s.Requested = string(name)
		end.ExitCode = 128 + int(signal)
	}
	return os.Remove(filepath.Join(s.path(), requestFile))
}

// clear ends what is left of a sandbox's processes and removes its cgroup and libcontainer's state. Clearing what is
// cleared does nothing.
func (s *Sandbox) clear(ctx context.Context) error {
	group := s.group()
	if err := group.Kill(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end processes of sandbox %q: %w", s.ID, err)
	}
	if err := group.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cgroup of sandbox %q: %w", s.ID, err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(s.path(), s.ID)), removeIfThere(s.Input())); err != nil {
		return fmt.Errorf("clear sandbox %q: %w", s.ID, err)
	}
	return nil
}

// Abandon removes a created sandbox that was not launched. The caller has its lease.
func (s *Sandbox) Abandon() error { return s.discard() }

// discard removes everything of a sandbox that this process has the lease of. The record goes first, so that a sandbox
// half removed is not taken for one that exists; the directory goes before the user ids that its existence reserves.
func (s *Sandbox) discard() error {
	path := s.path()
	for _, remove := range []func() error{
		func() error { return removeIfThere(filepath.Join(path, "record.json")) },
		func() error { return os.RemoveAll(path) },
		func() error { return s.dir.ranges().Free(path, s.Users) },
		s.Close,
	} {
		if err := remove(); err != nil {
			return errors.Join(fmt.Errorf("remove sandbox %q: %w", s.ID, err), s.Close())
		}
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Delete removes a sandbox that has ended, or was lost, with its record and log. It returns ErrRunning, wrapped, for one that
// lives.
func (s *Sandbox) Delete(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	if err := s.clear(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	if s.Log != "" {
		if err := errors.Join(removeIfThere(s.Log), removeIfThere(OldLog(s.Log))); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.discard()
}

// Again makes an ended sandbox ready to be launched a second time, with the same specification and user ids. The
// sandbox then has its lease, as after Create.
func (s *Sandbox) Again(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	if err := s.clear(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	s.End, s.PID, s.PIDStart, s.Started, s.Phases, s.Requested = nil, 0, 0, time.Time{}, nil, ""
	s.Restarts++
	if err := s.save(); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}
