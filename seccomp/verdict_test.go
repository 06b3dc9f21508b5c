package seccomp

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A machine runs a filter as the kernel does, without privilege and without being confined by it.
type machine struct{ vm *bpf.VM }

func newMachine(t *testing.T, f Filter) machine {
	t.Helper()
	var program []bpf.Instruction
	for _, i := range f.Instructions() {
		program = append(program, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K}.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return machine{vm}
}

// verdict returns what the filter answers to a call. The virtual machine reads big-endian words where the kernel reads
// native ones; the low word of an argument stays first.
func (m machine) verdict(t *testing.T, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64) // struct seccomp_data
	binary.BigEndian.PutUint32(data[0:], nr)
	binary.BigEndian.PutUint32(data[4:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	answer, err := m.vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(answer)
}

const (
	auditI386    = 0x40000003
	auditARM     = 0x40000028
	auditX86_64  = 0xc000003e
	auditAARCH64 = 0xc00000b7
	x32Bit       = 0x40000000
)

func nativeAudit(t *testing.T) uint32 {
	t.Helper()
	arch, err := libseccomp.GetNativeArch()
	if err != nil {
		t.Fatal(err)
	}
	switch arch {
	case libseccomp.ArchAMD64:
		return auditX86_64
	case libseccomp.ArchARM64:
		return auditAARCH64
	}
	t.Fatalf("no test for architecture %v", arch)
	return 0
}

func compiled(t *testing.T, p Profile) machine {
	t.Helper()
	f, err := Compile(p.Spec())
	if err != nil {
		t.Fatal(err)
	}
	return newMachine(t, f)
}

func number(t *testing.T, name string) uint32 {
	t.Helper()
	n, err := libseccomp.GetSyscallFromName(name)
	if err != nil || n < 0 {
		t.Fatalf("call %q: number %d: %v", name, n, err)
	}
	return uint32(n)
}

const (
	allow = unix.SECCOMP_RET_ALLOW
	kill  = unix.SECCOMP_RET_KILL_PROCESS
)

// From linux/personality.h.
const (
	noRandomize     = 0x0040000
	readImpliesExec = 0x0400000

	sigchld = uint64(unix.SIGCHLD)
)

func errno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

func want(t *testing.T, a Action) uint32 {
	t.Helper()
	switch a {
	case Allow:
		return allow
	case Log:
		return unix.SECCOMP_RET_LOG
	case Kill:
		return kill
	}
	n, ok := a.errno()
	if !ok {
		t.Fatalf("action %q", a)
	}
	return errno(unix.Errno(n))
}

func TestDefaultVerdicts(t *testing.T) {
	m := compiled(t, Default())
	const high = uint64(0xdeadbeef) << 32 // what a program may hide in the half the kernel does not look at
	for _, c := range []struct {
		call string
		args []uint64
		want uint32
	}{
		{"read", nil, allow},
		{"execve", nil, allow},
		{"execveat", nil, allow},
		{"openat2", nil, allow},
		{"fstatfs", nil, allow},
		{"close_range", nil, allow},
		{"futex", nil, allow},
		{"epoll_pwait", nil, allow},
		{"prctl", nil, allow},
		{"prctl", []uint64{unix.PR_SET_PDEATHSIG}, errno(unix.EPERM)},
		{"prctl", []uint64{unix.PR_GET_PDEATHSIG}, allow},
		{"inotify_init1", nil, errno(unix.ENOSYS)},
		{"exit_group", nil, allow},
		{"seccomp", nil, allow},
		{"clone3", nil, errno(unix.ENOSYS)},
		{"clone", []uint64{sigchld}, allow},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_FILES | unix.CLONE_SETTLS}, allow},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK | sigchld}, allow},
		{"clone", []uint64{high | sigchld}, allow},
		{"clone", []uint64{unix.CLONE_NEWUSER}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWNS | sigchld}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWCGROUP}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWUTS}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWIPC}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWPID}, errno(unix.EPERM)},
		{"clone", []uint64{unix.CLONE_NEWNET}, errno(unix.EPERM)},
		{"clone", []uint64{high | unix.CLONE_NEWUSER | unix.CLONE_NEWNET}, errno(unix.EPERM)},
		{"ioctl", []uint64{0, unix.TCGETS}, allow},
		{"ioctl", []uint64{0, unix.TIOCGWINSZ}, allow},
		{"ioctl", []uint64{0, unix.TIOCINQ}, allow},
		{"ioctl", []uint64{0, 0}, allow},
		{"ioctl", []uint64{0, 0xffffffff80045430}, allow}, // sign-extended, as musl passes it
		{"ioctl", []uint64{0, unix.TIOCSTI}, errno(unix.EPERM)},
		{"ioctl", []uint64{0, high | unix.TIOCSTI}, errno(unix.EPERM)},
		{"ioctl", []uint64{0, unix.TIOCLINUX}, errno(unix.EPERM)},
		{"ioctl", []uint64{0, high | unix.TIOCLINUX}, errno(unix.EPERM)},
		{"ioctl", []uint64{0, unix.TIOCSETD}, errno(unix.EPERM)},
		{"ioctl", []uint64{unix.TIOCSTI, unix.TCGETS}, allow},
		{"socket", []uint64{unix.AF_UNIX}, allow},
		{"socket", []uint64{unix.AF_INET}, allow},
		{"socket", []uint64{unix.AF_INET6}, allow},
		{"socket", []uint64{unix.AF_NETLINK}, allow},
		{"socket", []uint64{unix.AF_UNSPEC}, errno(unix.EAFNOSUPPORT)},
		{"socket", []uint64{unix.AF_PACKET}, errno(unix.EAFNOSUPPORT)},
		{"socket", []uint64{unix.AF_ALG}, errno(unix.EAFNOSUPPORT)},
		{"socket", []uint64{unix.AF_VSOCK}, errno(unix.EAFNOSUPPORT)},
		{"socket", []uint64{high | unix.AF_VSOCK}, errno(unix.EAFNOSUPPORT)},
		{"socketpair", []uint64{unix.AF_UNIX}, allow},
		{"socketpair", []uint64{unix.AF_INET}, errno(unix.EAFNOSUPPORT)},
		{"personality", []uint64{0}, allow},
		{"personality", []uint64{0xffffffff}, allow},
		{"personality", []uint64{noRandomize}, errno(unix.EPERM)},
		{"personality", []uint64{readImpliesExec}, errno(unix.EPERM)},
		{"mknodat", []uint64{0, 0, unix.S_IFIFO | 0o600}, allow},
		{"mknodat", []uint64{0, 0, unix.S_IFSOCK | 0o600}, allow},
		{"mknodat", []uint64{0, 0, 0o600}, allow},
		{"mknodat", []uint64{0, 0, unix.S_IFCHR | 0o600}, errno(unix.EPERM)},
		{"mknodat", []uint64{0, 0, unix.S_IFBLK | 0o600}, errno(unix.EPERM)},
		{"setxattr", nil, errno(unix.ENOTSUP)},
		{"get_mempolicy", nil, errno(unix.ENOSYS)},
		{"mq_open", nil, errno(unix.ENOSYS)},
	} {
		if got := m.verdict(t, nativeAudit(t), number(t, c.call), c.args...); got != c.want {
			t.Errorf("%s(%#x): %#x, want %#x", c.call, c.args, got, c.want)
		}
	}
}

// dangerous is written out a second time, so that a rule that moves is noticed.
var dangerous = []string{
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
	"mount_setattr", "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "keyctl", "add_key", "request_key", "kexec_load", "kexec_file_load", "init_module",
	"finit_module", "delete_module", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
	"pidfd_getfd", "clock_settime", "settimeofday", "adjtimex", "clock_adjtime", "swapon", "swapoff", "reboot",
	"open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark", "syslog", "acct", "quotactl",
	"sethostname", "setdomainname", "vhangup", "lookup_dcookie", "move_pages", "migrate_pages", "vmsplice",
	"memfd_secret",
}

func TestDangerousCallsAreRefusedWhateverTheirArguments(t *testing.T) {
	m := compiled(t, Default())
	for _, name := range dangerous {
		for _, arg := range []uint64{0, 1, 0xffffffff, 1 << 63, 0xffffffffffffffff} {
			args := []uint64{arg, arg, arg, arg, arg, arg}
			if got := m.verdict(t, nativeAudit(t), number(t, name), args...); got != errno(unix.EPERM) {
				t.Errorf("%s(%#x…): %#x, want EPERM", name, arg, got)
			}
		}
	}
}

func TestOtherArchitecturesAreKilled(t *testing.T) {
	m := compiled(t, Default())
	foreign := []uint32{auditI386, auditARM, 0, 0xffffffff}
	foreign = append(foreign, slices.DeleteFunc([]uint32{auditX86_64, auditAARCH64}, func(a uint32) bool { return a == nativeAudit(t) })...)
	for _, arch := range foreign {
		for _, nr := range []uint32{0, 1, 4, 59, 221, 0xffffffff} {
			if got := m.verdict(t, arch, nr); got != kill {
				t.Errorf("call %d of architecture %#x: %#x, want kill", nr, arch, got)
			}
		}
	}
	if nativeAudit(t) != auditX86_64 {
		return
	}
	for _, nr := range []uint32{0, 1, 59, 520} {
		if got := m.verdict(t, auditX86_64, x32Bit|nr); got != kill {
			t.Errorf("x32 call %d: %#x, want kill", nr, got)
		}
	}
}

func TestCallsNewerThanTheProfileDoNotExist(t *testing.T) {
	m := compiled(t, Default())
	for _, nr := range []uint32{470, 500, 1000, 0x3fffffff} {
		if got := m.verdict(t, nativeAudit(t), nr); got != errno(unix.ENOSYS) {
			t.Errorf("call %d: %#x, want ENOSYS", nr, got)
		}
	}
}

// newer are names that the oldest libseccomp supported, 2.5.4, does not know. It leaves them out.
var newer = []string{"cachestat", "fchmodat2", "futex_wait", "futex_wake", "futex_requeue", "map_shadow_stack", "mseal",
	"getxattrat", "listxattrat", "setxattrat", "removexattrat", "statmount", "listmount", "quotactl_fd",
	"set_mempolicy_home_node", "process_mrelease", "futex_waitv", "memfd_secret"}

// Every rule is met by some call, and the filter gives that call the rule's action and no other's.
func TestEveryRuleIsReached(t *testing.T) {
	p := Default()
	native, err := libseccomp.GetNativeArch()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range checkRules(t, p, compiled(t, p), native, nativeAudit(t)) {
		t.Errorf("%q: no call of this architecture reaches the rule", r.Reason)
	}
}

// The same for the architecture that this machine does not have, whose rules ride along here as a second architecture.
func TestEveryRuleOnTheOtherArchitecture(t *testing.T) {
	p := Default()
	s := p.Spec()
	s.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64}
	f, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	arch, audit := libseccomp.ArchARM64, uint32(auditAARCH64)
	if nativeAudit(t) == auditAARCH64 {
		arch, audit = libseccomp.ArchAMD64, auditX86_64
	}
	for _, r := range checkRules(t, p, newMachine(t, f), arch, audit) {
		if !slices.Contains(r.Names, "ioperm") && !slices.Contains(r.Names, "mknod") { // of amd64 alone
			t.Errorf("%q: no call of %v reaches the rule", r.Reason, arch)
		}
	}
}

// checkRules tries each call of each rule and returns the rules that no call of the architecture reaches.
func checkRules(t *testing.T, p Profile, m machine, arch libseccomp.ScmpArch, audit uint32) (unreached []Rule) {
	t.Helper()
	for _, r := range p.Rules {
		reached := false
		for _, name := range r.Names {
			n, err := libseccomp.GetSyscallFromNameByArch(name, arch)
			if err != nil {
				if !slices.Contains(newer, name) {
					t.Errorf("%q: libseccomp does not know it, and it is not on the list of newer calls", name)
				}
				continue
			}
			if n < 0 { // a call of other architectures
				continue
			}
			reached = true
			checkRule(t, r, m, audit, uint32(n), name)
		}
		if !reached {
			unreached = append(unreached, r)
		}
	}
	return unreached
}

func checkRule(t *testing.T, r Rule, m machine, audit, n uint32, name string) {
	t.Helper()
	check := func(value uint64, a Action) {
		args := make([]uint64, 6)
		if r.Arg != nil {
			args[r.Arg.Index] = value
		}
		if got := m.verdict(t, audit, n, args...); got != want(t, a) {
			t.Errorf("%s(%#x): %#x, want %s", name, args, got, a)
		}
	}
	if r.Arg == nil {
		check(0, r.Action)
		return
	}
	for _, v := range samples(*r.Arg) {
		for _, upper := range []uint64{0, 1 << 32, 0xffffffff << 32} {
			if meets(*r.Arg, v) {
				check(upper|uint64(v), r.Action)
			} else {
				check(upper|uint64(v), r.Otherwise)
			}
		}
	}
}

// meets is the condition as its documentation has it.
func meets(a Arg, value uint32) bool {
	switch {
	case len(a.In) > 0:
		return slices.Contains(a.In, Word(value))
	case len(a.NotIn) > 0:
		return !slices.Contains(a.NotIn, Word(value))
	}
	return value&uint32(a.NoBits) == 0
}

// samples are the values a condition names, their neighbours, each with each bit turned, and others.
func samples(a Arg) []uint32 {
	values := []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff}
	for _, v := range append(append(slices.Clone(a.In), a.NotIn...), a.NoBits) {
		values = append(values, uint32(v), uint32(v)-1, uint32(v)+1)
		for bit := uint32(1); bit != 0; bit <<= 1 {
			values = append(values, uint32(v)^bit, bit)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		values = append(values, r.Uint32())
	}
	return values
}

// A condition and its opposite leave no value out and share none, for any condition.
func TestSplitPartsAllValues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	words := func() (list []Word) {
		for range 1 + r.IntN(5) {
			list = append(list, Word(r.Uint32()>>r.IntN(32)))
		}
		return list
	}
	for range 300 {
		for _, a := range []Arg{{In: words()}, {NotIn: words()}, {NoBits: Word(r.Uint32() | 1)}} {
			yes, no := a.split()
			for _, v := range samples(a) {
				inYes, inNo := 0, 0
				for _, c := range yes {
					if uint64(v)&c.Value == c.ValueTwo {
						inYes++
					}
				}
				for _, c := range no {
					if uint64(v)&c.Value == c.ValueTwo {
						inNo++
					}
				}
				if (inYes > 0) == (inNo > 0) || (inYes > 0) != meets(a, v) {
					t.Fatalf("%+v: value %#x: met by %d conditions, refused by %d", a, v, inYes, inNo)
				}
			}
		}
	}
}
