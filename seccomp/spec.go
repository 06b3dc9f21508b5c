package seccomp

import (
	"fmt"
	"runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// nativeArch is the OCI name of each architecture that profiles are for.
var nativeArch = map[string]specs.Arch{
	"amd64": specs.ArchX86_64,
	"arm64": specs.ArchAARCH64,
}

// Spec returns the profile in the words of the OCI runtime specification, for the architecture this program was
// compiled for. It is pure: equal profiles give equal results. A condition on an argument becomes one rule per way to
// meet it; the rules of a call never overlap, so the order in which a runtime tests them does not matter.
func (p Profile) Spec() *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{}
	s.DefaultAction, s.DefaultErrnoRet = p.Default.spec()
	if arch, ok := nativeArch[runtime.GOARCH]; ok {
		s.Architectures = []specs.Arch{arch}
	}
	for _, r := range p.Rules {
		if r.Arg == nil {
			s.Syscalls = append(s.Syscalls, specRule(r.Names, r.Action, nil))
			continue
		}
		meets, rest := r.Arg.split()
		for i := range meets {
			s.Syscalls = append(s.Syscalls, specRule(r.Names, r.Action, meets[i:i+1]))
		}
		for i := range rest {
			s.Syscalls = append(s.Syscalls, specRule(r.Names, r.Otherwise, rest[i:i+1]))
		}
	}
	return s
}

func specRule(names []string, a Action, args []specs.LinuxSeccompArg) specs.LinuxSyscall {
	action, errno := a.spec()
	return specs.LinuxSyscall{Names: names, Action: action, ErrnoRet: errno, Args: args}
}

func (a Action) spec() (specs.LinuxSeccompAction, *uint) {
	switch a {
	case Allow:
		return specs.ActAllow, nil
	case Log:
		return specs.ActLog, nil
	case Kill:
		return specs.ActKillProcess, nil
	}
	n, ok := a.errno()
	if !ok {
		panic(fmt.Sprintf("seccomp action %q was not checked", a)) // Parse refuses it
	}
	return specs.ActErrno, &n
}

// split returns the condition as alternatives, and its opposite likewise.
func (a Arg) split() (meets, rest []specs.LinuxSeccompArg) {
	switch {
	case len(a.In) > 0:
		return a.equal(a.In), a.unequal(a.In)
	case len(a.NotIn) > 0:
		return a.unequal(a.NotIn), a.equal(a.NotIn)
	}
	meets = append(meets, a.masked(uint32(a.NoBits), 0))
	for bit := uint32(1); bit != 0; bit <<= 1 {
		if uint32(a.NoBits)&bit != 0 {
			rest = append(rest, a.masked(bit, bit))
		}
	}
	return meets, rest
}

func (a Arg) equal(values []Word) []specs.LinuxSeccompArg {
	var alternatives []specs.LinuxSeccompArg
	for _, v := range values {
		alternatives = append(alternatives, a.masked(0xffffffff, uint32(v)))
	}
	return alternatives
}

// unequal covers every 32-bit number but the values. OCI knows no "low 32 bits differ", so the rest is cut, as an
// address range is into subnets, into the largest blocks of numbers that share their upper bits and hold no value.
func (a Arg) unequal(values []Word) []specs.LinuxSeccompArg {
	var blocks []specs.LinuxSeccompArg
	var cut func(mask, prefix uint32)
	cut = func(mask, prefix uint32) {
		held := false
		for _, v := range values {
			held = held || uint32(v)&mask == prefix
		}
		if !held {
			blocks = append(blocks, a.masked(mask, prefix))
			return
		}
		if mask == 0xffffffff {
			return
		}
		longer := mask>>1 | 1<<31
		cut(longer, prefix)
		cut(longer, prefix|(longer&^mask))
	}
	cut(0, 0)
	return blocks
}

// masked is the condition that the argument, restricted to the mask's bits, is value.
func (a Arg) masked(mask, value uint32) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: a.Index, Op: specs.OpMaskedEqual, Value: uint64(mask), ValueTwo: uint64(value)}
}
