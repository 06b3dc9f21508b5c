package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/opencontainers/cgroups/devices" // lets libcontainer write device rules
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"mmbox/runtime/process"
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
	if s.PIDStart, err = process.Began(s.PID); err != nil {
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
