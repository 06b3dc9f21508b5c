package seccomp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// Compile turns an OCI profile into a filter for this machine, in some milliseconds. As OCI runtimes do, it leaves out
// calls whose names libseccomp does not know (they get the default action) and adds the native architecture to those
// the profile lists; any other architecture ends the process. What a filter's bytes cannot carry is refused: flags, a
// listener and the notify action. So is leaving out a call that would then be allowed.
func Compile(s *specs.LinuxSeccomp) (Filter, error) {
	f, err := compile(s)
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile: %w", err)
	}
	return f, nil
}

func compile(s *specs.LinuxSeccomp) (_ Filter, err error) {
	if s == nil {
		return nil, errors.New("no profile")
	}
	if len(s.Flags) > 0 || s.ListenerPath != "" {
		return nil, fmt.Errorf("flags %v, listener %q: remove them: a compiled filter cannot carry them", s.Flags, s.ListenerPath)
	}
	fallback, err := action(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, fmt.Errorf("default action: %w", err)
	}
	filter, err := libseccomp.NewFilter(fallback)
	if err != nil {
		return nil, fmt.Errorf("new filter: %w", err)
	}
	defer filter.Release()
	if err := filter.SetBadArchAction(libseccomp.ActKillProcess); err != nil {
		return nil, fmt.Errorf("kill other architectures: %w", err)
	}
	for _, name := range s.Architectures {
		arch, err := libseccomp.GetArchFromString(strings.TrimPrefix(string(name), "SCMP_ARCH_"))
		if err != nil {
			return nil, fmt.Errorf("architecture %q: %w", name, err)
		}
		if err := filter.AddArch(arch); err != nil {
			return nil, fmt.Errorf("add architecture %q: %w", name, err)
		}
	}
	// Level 2 is a binary tree over the call's number: about ten comparisons per call instead of hundreds. libseccomp
	// up to 2.5.4 builds a wrong tree of no rules.
	if len(s.Syscalls) > 0 {
		if err := filter.SetOptimize(2); err != nil {
			return nil, fmt.Errorf("binary tree: %w", err)
		}
	}
	for i, rule := range s.Syscalls {
		if err := addRule(filter, rule, fallback); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return export(filter)
}

func addRule(filter *libseccomp.ScmpFilter, rule specs.LinuxSyscall, fallback libseccomp.ScmpAction) error {
	act, err := action(rule.Action, rule.ErrnoRet)
	if err != nil {
		return err
	}
	if act == fallback {
		return nil // libseccomp refuses a rule that says what the default says
	}
	conditions, err := alternatives(rule.Args)
	if err != nil {
		return err
	}
	for _, name := range rule.Names {
		call, err := libseccomp.GetSyscallFromName(name)
		if err != nil {
			if allows(fallback) && !allows(act) {
				return fmt.Errorf("call %q: unknown to libseccomp, and the default would allow it: use a default that refuses", name)
			}
			continue
		}
		if len(conditions) == 0 {
			err = filter.AddRule(call, act)
		}
		for _, all := range conditions {
			err = errors.Join(err, filter.AddRuleConditional(call, act, all))
		}
		if err != nil {
			return fmt.Errorf("call %q: %w", name, err)
		}
	}
	return nil
}

func allows(a libseccomp.ScmpAction) bool {
	return a == libseccomp.ActAllow || a == libseccomp.ActLog
}

// alternatives returns the lists of conditions that must hold together, any one list being enough. By OCI all of a
// rule's conditions must hold; but libseccomp takes one condition per argument, and for two on the same argument every
// OCI runtime makes each condition a rule of its own. Here likewise, or one bundle would mean two things.
func alternatives(args []specs.LinuxSeccompArg) ([][]libseccomp.ScmpCondition, error) {
	var all []libseccomp.ScmpCondition
	var each [][]libseccomp.ScmpCondition
	seen := map[uint]bool{}
	repeated := false
	for _, a := range args {
		op, ok := operators[a.Op]
		if !ok {
			return nil, fmt.Errorf("operator %q: unknown", a.Op)
		}
		c, err := libseccomp.MakeCondition(a.Index, op, a.Value, a.ValueTwo)
		if err != nil {
			return nil, fmt.Errorf("condition on argument %d: %w", a.Index, err)
		}
		all = append(all, c)
		each = append(each, []libseccomp.ScmpCondition{c})
		repeated = repeated || seen[a.Index]
		seen[a.Index] = true
	}
	if len(all) == 0 || repeated {
		return each, nil
	}
	return [][]libseccomp.ScmpCondition{all}, nil
}

var operators = map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
	specs.OpNotEqual:     libseccomp.CompareNotEqual,
	specs.OpLessThan:     libseccomp.CompareLess,
	specs.OpLessEqual:    libseccomp.CompareLessOrEqual,
	specs.OpEqualTo:      libseccomp.CompareEqual,
	specs.OpGreaterEqual: libseccomp.CompareGreaterEqual,
	specs.OpGreaterThan:  libseccomp.CompareGreater,
	specs.OpMaskedEqual:  libseccomp.CompareMaskedEqual,
}

var actions = map[specs.LinuxSeccompAction]libseccomp.ScmpAction{
	specs.ActKill:        libseccomp.ActKillThread,
	specs.ActKillThread:  libseccomp.ActKillThread,
	specs.ActKillProcess: libseccomp.ActKillProcess,
	specs.ActTrap:        libseccomp.ActTrap,
	specs.ActErrno:       libseccomp.ActErrno,
	specs.ActTrace:       libseccomp.ActTrace,
	specs.ActAllow:       libseccomp.ActAllow,
	specs.ActLog:         libseccomp.ActLog,
}

// action translates an OCI action. The error number is of errno and trace only; by OCI it is EPERM where none is set.
func action(a specs.LinuxSeccompAction, errno *uint) (libseccomp.ScmpAction, error) {
	act, ok := actions[a]
	if !ok {
		return libseccomp.ActInvalid, fmt.Errorf("action %q: unknown, or one a compiled filter cannot carry", a)
	}
	n := uint(unix.EPERM)
	if errno != nil {
		n = *errno
	}
	if n > 4095 {
		return libseccomp.ActInvalid, fmt.Errorf("errno %d: the kernel's largest is 4095", n)
	}
	return act.SetReturnCode(int16(n)), nil
}

// export writes the filter to a memory file: libseccomp before 2.6 knows no other target than a descriptor.
func export(filter *libseccomp.ScmpFilter) (_ Filter, err error) {
	fd, err := unix.MemfdCreate("seccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("export: memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "seccomp")
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := filter.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	program, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := Filter(program).check(); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return program, nil
}
