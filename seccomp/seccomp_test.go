package seccomp

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const rule = `{"reason":"r","names":["read"],"action":"allow"}`

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{``, "EOF"},
		{`{"default":"EPERM","rules":[],"x":1}`, `unknown field "x"`},
		{`{"default":"EPERM","rules":[]} {}`, "after the profile"},
		{`{"rules":[]}`, "default"},
		{`{"default":"EWHAT","rules":[]}`, "EPERM"},
		{`{"default":"EPERM","rules":[{"names":["read"],"action":"allow"}]}`, "reason"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":[],"action":"allow"}]}`, "no names"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["READ "],"action":"allow"}]}`, "READ"},
		{`{"default":"EPERM","rules":[` + rule + `,` + rule + `]}`, "already has rule 1"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"ALLOW"}]}`, "action"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM"}]}`, "otherwise without arg"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","arg":{"index":0,"in":["1"]}}]}`, "otherwise"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM","arg":{"index":6,"in":["1"]}}]}`, "index 6"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM","arg":{"index":0}}]}`, "exactly one"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM","arg":{"index":0,"in":["1"],"no_bits":"1"}}]}`, "exactly one"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM","arg":{"index":0,"in":["0x100000000"]}}]}`, "32 bits"},
		{`{"default":"EPERM","rules":[{"reason":"r","names":["read"],"action":"allow","otherwise":"EPERM","arg":{"index":0,"in":["-1"]}}]}`, "32 bits"},
	} {
		_, err := Parse(strings.NewReader(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.in, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(defaultProfile)
	f.Add([]byte(`{"default":"EPERM","rules":[` + rule + `]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Parse(bytes.NewReader(in))
		if err != nil {
			return
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("what was parsed is refused when written: %v\n%s", err, out)
		}
		if Key(again.Spec()) != Key(p.Spec()) {
			t.Fatalf("written and read again, the profile means another thing: %s", out)
		}
	})
}

// The filter runs at every call that the kernel's own cache of always-allowed calls does not cover.
func TestDefaultFilterIsSmall(t *testing.T) {
	f, err := Compile(Default().Spec())
	if err != nil {
		t.Fatal(err)
	}
	n := len(f.Instructions())
	t.Logf("%d instructions, of at most %d", n, maxInstructions)
	if n > 1200 {
		t.Errorf("%d instructions, want at most 1200", n)
	}
}

func TestSpecIsPureAndJSON(t *testing.T) {
	a, b := Default().Spec(), Default().Spec()
	if Key(a) != Key(b) {
		t.Error("equal profiles, different keys")
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back specs.LinuxSeccomp
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if Key(&back) != Key(a) {
		t.Error("a profile read back from config.json has another key: its filter would be compiled twice")
	}
	if len(a.Architectures) != 1 {
		t.Errorf("architectures %v, want the native one", a.Architectures)
	}
	b.Syscalls[0].Action = specs.ActLog
	if Key(a) == Key(b) {
		t.Error("different profiles, equal keys")
	}
}

func TestCompileRefuses(t *testing.T) {
	deny := uint(5000)
	for name, s := range map[string]*specs.LinuxSeccomp{
		"no profile":   nil,
		"flags":        {DefaultAction: specs.ActErrno, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}},
		"listener":     {DefaultAction: specs.ActErrno, ListenerPath: "/x"},
		"notify":       {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActNotify}}},
		"action":       {DefaultAction: "SCMP_ACT_WHAT"},
		"errno":        {DefaultAction: specs.ActErrno, DefaultErrnoRet: &deny},
		"architecture": {DefaultAction: specs.ActErrno, Architectures: []specs.Arch{"SCMP_ARCH_WHAT"}},
		"operator":     {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Op: "x"}}}}},
		"argument":     {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}}},
		"unknown call": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"no_such_call"}, Action: specs.ActErrno}}},
	} {
		if f, err := Compile(s); err == nil {
			t.Errorf("%s: compiled to %d bytes, want an error", name, len(f))
		}
	}
}

// A profile in the manner of other engines: several architectures, calls libseccomp does not know and calls of other
// architectures, conditions on two
// arguments, two on the same one.
func TestCompileForeignProfile(t *testing.T) {
	native := nativeAudit(t)
	if native != auditX86_64 {
		t.Skip("written for amd64's second architecture")
	}
	f, err := Compile(&specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "no_such_call", "breakpoint", "riscv_flush_icache"}, Action: specs.ActAllow},
			{Names: []string{"socketcall", "s390_pci_mmio_read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Op: specs.OpEqualTo, Value: 1}}},
			{Names: []string{"write"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
				{Index: 0, Op: specs.OpEqualTo, Value: 1}, {Index: 2, Op: specs.OpLessThan, Value: 10}}},
			{Names: []string{"dup"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
				{Index: 0, Op: specs.OpEqualTo, Value: 1}, {Index: 0, Op: specs.OpEqualTo, Value: 2}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, f)
	for _, c := range []struct {
		arch, nr uint32
		args     []uint64
		want     uint32
	}{
		{native, unix.SYS_READ, nil, allow},
		{auditI386, 3, nil, allow}, // read there
		{auditI386, 1, nil, errno(unix.EPERM)},
		{auditAARCH64, 63, nil, kill},
		{native, unix.SYS_WRITE, []uint64{1, 0, 9}, allow},
		{native, unix.SYS_WRITE, []uint64{1, 0, 10}, errno(unix.EPERM)},
		{native, unix.SYS_WRITE, []uint64{2, 0, 9}, errno(unix.EPERM)},
		{native, unix.SYS_DUP, []uint64{1}, allow},
		{native, unix.SYS_DUP, []uint64{2}, allow},
		{native, unix.SYS_DUP, []uint64{3}, errno(unix.EPERM)},
	} {
		if got := m.verdict(t, c.arch, c.nr, c.args...); got != c.want {
			t.Errorf("%#x call %d(%v): %#x, want %#x", c.arch, c.nr, c.args, got, c.want)
		}
	}
}

func TestCached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "filters")
	s := Default().Spec()
	fresh, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Key(s)+".bpf")
	load := func(what string) {
		t.Helper()
		f, err := Cached(dir, s)
		if err != nil || !bytes.Equal(f, fresh) {
			t.Fatalf("%s: %d bytes, want %d; error %v", what, len(f), len(fresh), err)
		}
		if f, err := readCached(path); err != nil || !bytes.Equal(f, fresh) {
			t.Fatalf("%s: the file left behind: %d bytes, want %d; error %v", what, len(f), len(fresh), err)
		}
	}
	load("first time")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	for what, content := range map[string][]byte{
		"empty": {}, "cut in the sum": whole[:10], "sum alone": whole[:32], "cut": whole[:len(whole)-8], "cut within an instruction": whole[:len(whole)-3],
		"longer": append(bytes.Clone(whole), 0), "one bit": flipped, "text": []byte(strings.Repeat("x", len(whole))),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		load(what)
	}
	// A whole file is taken as it is: compiling would cost milliseconds at each start.
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	load("again")
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a good file was written again (%v)", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, want one file (%v)", entries, err)
	}
}

func TestCachedByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := Default().Spec()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := Cached(dir, s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, want one file (%v)", entries, err)
	}
}

func TestCachedWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Cached(file, Default().Spec()); err == nil {
		t.Error("no error for a cache directory that is a file")
	}
}

func BenchmarkCompile(b *testing.B) {
	s := Default().Spec()
	for b.Loop() {
		if _, err := Compile(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	dir, s := b.TempDir(), Default().Spec()
	for b.Loop() {
		if _, err := Cached(dir, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDefault(b *testing.B) {
	for b.Loop() {
		Default().Spec()
	}
}
