package runtime

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"strconv"
	"time"

	_ "github.com/opencontainers/cgroups/devices" // lets libcontainer write device rules
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"mmbox/runtime/shim"
	"mmbox/seccomp"
)

// A Launch is how a sandbox's program is executed. The caller owns the files.
type Launch struct {
	In, Out, Err *os.File // nil is /dev/null; unused with a terminal
	Filters      string   // directory of compiled system call filters
}

// An ExecError says that a program inside a sandbox could not be executed.
type ExecError struct {
	Path string
	Err  error
}

func (e *ExecError) Error() string {
	return fmt.Sprintf("execute %s in the sandbox: %v", e.Path, e.Err)
}

// Unwrap returns the system's reason.
func (e *ExecError) Unwrap() error { return e.Err }

// LogTo sends libcontainer's own log lines to w, with everything it has to say if verbose. Without a call they would go
// to standard error.
func LogTo(w io.Writer, verbose bool) {
	logrus.SetOutput(w)
	if verbose {
		logrus.SetLevel(logrus.DebugLevel)
	}
}

// Launch executes the program of a created sandbox and records that it runs. The calling process is its supervisor from
// then on, must stay on the thread of this call, and calls Reap. When Launch fails, nothing of the sandbox's processes
// or cgroup is left, and the failure is recorded as its end, or the sandbox removed if it is one to be removed when it ends.
func (s *Sandbox) Launch(l Launch) (console *os.File, err error) {
	clock := newClock()
	defer func() {
		if err != nil {
			err = errors.Join(&LaunchError{ID: s.ID, Code: exitCode(err), Err: err}, s.failed(err))
		}
	}()
	spec := s.made
	if s.made = nil; spec == nil {
		if spec, err = s.spec(); err != nil {
			return nil, err
		}
	}
	config, err := configure(s.ID, spec)
	if err != nil {
		return nil, err
	}
	step, err := prepare(spec, config, l)
	if err != nil {
		return nil, err
	}
	defer step.close()
	clock.lap("spec")
	unlock, err := s.dir.share(unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	container, err := libcontainer.Create(s.path(), s.ID, config)
	if err != nil {
		unlock()
		return nil, err
	}
	clock.lap("create")
	step.process.Init = true
	err = start(container, step.process)
	unlock()
	if err != nil {
		return nil, explain(err)
	}
	clock.lap("init")
	if err := s.began(step.process); err != nil {
		return nil, err
	}
	if err := container.Exec(); err != nil {
		return nil, err
	}
	if err := step.executed(); err != nil {
		return nil, err
	}
	clock.lap("exec")
	s.Started, s.Phases = time.Now(), clock.phases
	if err := s.save(); err != nil {
		return nil, err
	}
	return step.master()
}

func (s *Sandbox) spec() (*specs.Spec, error) {
	content, err := os.ReadFile(filepath.Join(s.path(), "config.json"))
	if err != nil {
		return nil, err
	}
	var spec specs.Spec
	if err := json.Unmarshal(content, &spec); err != nil {
		return nil, fmt.Errorf("read config.json: %w", err)
	}
	return &spec, nil
}

// configure turns a specification into libcontainer's form of it.
func configure(id string, spec *specs.Spec) (*configs.Config, error) {
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: id, Spec: spec})
	if err != nil {
		return nil, fmt.Errorf("convert specification: %w", err)
	}
	return config, nil
}

// start starts a process in a container. libcontainer hands GOMAXPROCS to its own part inside, which does one thing after
// the other: state for more processors only costs it time, the more so the more there are.
func start(container *libcontainer.Container, process *libcontainer.Process) (err error) {
	const name = "GOMAXPROCS"
	before, set := os.LookupEnv(name)
	if err := os.Setenv(name, "1"); err != nil {
		return err
	}
	defer func() {
		if set {
			err = errors.Join(err, os.Setenv(name, before))
		} else {
			err = errors.Join(err, os.Unsetenv(name))
		}
	}()
	return container.Start(process)
}

// began records the program's process before it may run, so that it can be found whatever happens next.
func (s *Sandbox) began(p *libcontainer.Process) (err error) {
	if s.PID, err = p.Pid(); err != nil {
		return err
	}
	if s.PIDStart, err = processStart(s.PID); err != nil {
		return err
	}
	s.Cgroup = s.dir.Cgroup(s.ID)
	return s.save()
}

// failed ends what a failed launch may have left, and records the failure as the sandbox's end.
func (s *Sandbox) failed(cause error) error {
	s.End = &End{Finished: time.Now(), ExitCode: exitCode(cause), FailedStart: cause.Error()}
	err := s.clear(context.Background())
	if s.PID != 0 {
		_, reaped := reap(s.PID)
		err = errors.Join(err, reaped)
	}
	if s.Remove {
		return errors.Join(err, s.discard())
	}
	return errors.Join(err, s.save())
}

// exitCode is that of a command that could not be executed, by the shell's convention.
func exitCode(err error) int {
	var exec *ExecError
	switch {
	case !errors.As(err, &exec):
		return 125
	case errors.Is(err, unix.ENOENT):
		return 127
	default:
		return 126
	}
}

// explain names the usual reasons behind libcontainer's words.
func explain(err error) error {
	for _, known := range []struct {
		is   error
		hint string
	}{
		{unix.ENOSPC, "the kernel has no room for another namespace or cgroup: see the limits in /proc/sys/user"},
		{unix.EUSERS, "the limit of nested user namespaces is reached: see /proc/sys/user/max_user_namespaces"},
		{unix.ENOMEM, "memory is exhausted, or the sandbox's memory limit is too low to start anything in"},
	} {
		if errors.Is(err, known.is) {
			return fmt.Errorf("%w (%s)", err, known.hint)
		}
	}
	// These have no type. The first is of cgroup version 1, the second of version 2.
	for _, text := range []string{"unable to set memory limit", "OOM-killed"} {
		if strings.Contains(err.Error(), text) {
			return fmt.Errorf("%w (a sandbox needs some 4 MiB to start: raise its memory)", err)
		}
	}
	return err
}

// A step is a process about to be executed in a sandbox through the shim, with the files that go with it.
type step struct {
	path    string
	process *libcontainer.Process
	status  *os.File // read end of the shim's status pipe
	given   []*os.File
	console *console
}

// prepare makes a step of a specification's process. A filter that the shim can load, because no_new_privs makes that
// unprivileged, is taken out of libcontainer's configuration: it would compile it anew at each start.
func prepare(spec *specs.Spec, config *configs.Config, l Launch) (_ *step, err error) {
	s := &step{path: spec.Process.Args[0]}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	self, err := shim.File()
	if err != nil {
		return nil, err
	}
	s.given = append(s.given, self)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.status, s.given = r, append(s.given, w)
	late := spec.Linux.Seccomp != nil && spec.Process.NoNewPrivileges
	if late {
		filter, err := seccomp.Cached(l.Filters, spec.Linux.Seccomp)
		if err != nil {
			return nil, err
		}
		file, err := memoryFile(filter)
		if err != nil {
			return nil, err
		}
		s.given = append(s.given, file)
		config.Seccomp = nil
	}
	if s.process, err = processOf(spec.Process); err != nil {
		return nil, err
	}
	s.process.Args = shim.Seal(s.path, spec.Process.Args, late)
	s.process.ExtraFiles = slices.Clone(s.given)
	if spec.Process.Terminal {
		s.console, err = newConsole(s.process)
		return s, err
	}
	// A nil *os.File must not become a reader that is not nil.
	if l.In != nil {
		s.process.Stdin = l.In
	}
	if l.Out != nil {
		s.process.Stdout = l.Out
	}
	if l.Err != nil {
		s.process.Stderr = l.Err
	}
	return s, nil
}

// processOf turns a process into libcontainer's form of it, as far as its conversion of a specification leaves that to
// its callers.
func processOf(p *specs.Process) (*libcontainer.Process, error) {
	process := &libcontainer.Process{
		Env: p.Env,
		Cwd: p.Cwd,
		UID: int(p.User.UID),
		GID: int(p.User.GID),
		// Without a level the new process would write some forty lines, each of which wakes this one to drop it.
		LogLevel: strconv.Itoa(int(logrus.GetLevel())),
	}
	for _, limit := range p.Rlimits {
		number, ok := rlimits[limit.Type]
		if !ok {
			return nil, fmt.Errorf("resource limit %q: not one of getrlimit(2)", limit.Type)
		}
		process.Rlimits = append(process.Rlimits, configs.Rlimit{Type: number, Soft: limit.Soft, Hard: limit.Hard})
	}
	return process, nil
}

// rlimits are the numbers of resource limits. Source: getrlimit(2), asm-generic/resource.h.
var rlimits = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

// executed waits until the shim has executed the program. It returns an ExecError if it could not.
func (s *step) executed() error {
	s.given = closeAll(s.given)
	var number [4]byte
	n, err := io.ReadFull(s.status, number[:])
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read status of the shim: %d bytes: %w", n, err)
	}
	return &ExecError{Path: s.path, Err: unix.Errno(binary.NativeEndian.Uint32(number[:]))}
}

// master returns the terminal's side of a console, or nil.
func (s *step) master() (*os.File, error) {
	if s.console == nil {
		return nil, nil
	}
	return s.console.master()
}

// close closes what the step still holds. The errors are of files that were only lent to another process.
func (s *step) close() {
	s.given = closeAll(s.given)
	closeAll([]*os.File{s.status})
	if s.console != nil {
		s.console.close()
	}
}

func closeAll(files []*os.File) []*os.File {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

// memoryFile returns a file of memory with this content, to be read from its beginning.
func memoryFile(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("mmbox-filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "mmbox-filter")
	if _, err := file.Write(content); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// A clock measures the phases of a start.
type clock struct {
	last   time.Time
	phases Phases
}

func newClock() *clock { return &clock{last: time.Now()} }

func (c *clock) lap(name string) {
	now := time.Now()
	c.phases = append(c.phases, Phase{Name: name, Seconds: now.Sub(c.last).Seconds()})
	c.last = now
}
