package runtime

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"mmbox/runtime/shim"
	"mmbox/seccomp"
)

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
		file, err := shim.FilterFile(filter)
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
	if err := refuseDirectories(l); err != nil {
		return nil, err
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

// refuseDirectories keeps a directory of the host out of a sandbox: from an open one a program reaches all below.
func refuseDirectories(l Launch) error {
	for name, file := range map[string]*os.File{"input": l.In, "output": l.Out, "error": l.Err} {
		if file == nil {
			continue
		}
		info, err := file.Stat()
		if err != nil {
			return fmt.Errorf("standard %s: %w", name, err)
		}
		if info.IsDir() {
			return fmt.Errorf("standard %s is a directory, %s: give a file", name, file.Name())
		}
	}
	return nil
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
		most, err := ownLimit(number)
		if err != nil {
			return nil, fmt.Errorf("resource limit %q: %w", limit.Type, err)
		}
		process.Rlimits = append(process.Rlimits, configs.Rlimit{Type: number, Soft: min(limit.Soft, most), Hard: min(limit.Hard, most)})
	}
	return process, nil
}

// ownLimit is this process's own hard limit: a program gets no more than its caller has, since raising a limit needs a
// capability that root may lack.
func ownLimit(number int) (uint64, error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(number, &own); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	return own.Max, nil
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
