package vm

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestKernelCommandLine(t *testing.T) {
	words := strings.Fields(Machine{Kernel: []string{"cgroup_disable=memory"}}.kernelCommandLine())
	for _, want := range []string{"console=ttyS0", "oops=panic", "panic=-1", "psi=1", "systemd.unified_cgroup_hierarchy=1", "cgroup_disable=memory"} {
		if !slices.Contains(words, want) {
			t.Errorf("command line lacks %q: %q", want, words)
		}
	}
}

func TestQEMUArgs(t *testing.T) {
	m := Machine{Memory: 1 << 30, CPUs: 3, Accel: "tcg", Share: []Share{{Host: "/a,b", Guest: "/x", Writable: true}}}
	args := strings.Join(m.qemuArgs(Kernel{Dir: "/k", Release: "6.1"}), "\n")
	for _, want := range []string{
		"-accel\ntcg,thread=multi", "-smp\n3", "-m\n1024M", "-no-reboot", "-kernel\n/k/boot/vmlinuz-6.1",
		"-fsdev\nlocal,id=root,path=/,security_model=passthrough,multidevs=remap,readonly=on\n",
		"path=/k/lib/modules/6.1,security_model=passthrough,multidevs=remap,readonly=on\n",
		"id=share1,path=/a,,b,security_model=passthrough,multidevs=remap\n",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("arguments lack %q:\n%s", want, args)
		}
	}
	if strings.Contains(args, "kvm") || strings.Contains(args, "/tmp") {
		t.Errorf("arguments name KVM unasked or a temporary file:\n%s", args)
	}
}

func TestConsole(t *testing.T) {
	for line, crash := range map[string]bool{
		"[ 4.4] Kernel panic - not syncing: sysrq triggered crash":              true,
		"[ 4.4] Oops: 0002 [#1] PREEMPT SMP NOPTI":                              true,
		"[ 4.4] BUG: kernel NULL pointer dereference, address: 0":               true,
		"[ 4.4] BUG: unable to handle page fault for address: ffff":             true,
		"[ 4.4] kernel BUG at mm/slub.c:305!":                                   true,
		"[ 4.4] WARNING: CPU: 0 PID: 1 at kernel/x.c":                           false,
		"[ 4.4] Memory cgroup out of memory: Killed process 7 (x)":              false,
		"[ 4.4] traps: x[7] general protection fault ip:4 sp:5 error:0 in x[4]": false,
		"[ 4.4] BUG: Bad rss-counter state":                                     false,
	} {
		c := &console{}
		for _, b := range []byte("before\r\n\x1b[2J" + line + "\r\nafter\r\n") { // lines arrive in pieces
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.died(); (got != "") != crash || crash && got != line {
			t.Errorf("died after %q = %q", line, got)
		}
		if got := c.last(2); got != line+"\nafter" {
			t.Errorf("last(2) = %q", got)
		}
	}
	c := &console{copy: fullDisk{}}
	for range 3 * consoleKeep / 100 {
		if _, err := c.Write([]byte(strings.Repeat("y", 99) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.tail) != consoleKeep {
		t.Errorf("%d bytes kept, want %d", len(c.tail), consoleKeep)
	}
}

// TestVerdict goes through the ends a machine can come to.
func TestVerdict(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, c := range []struct {
		name    string
		events  []event
		console string
		why     error
		code    int
		want    error
	}{
		{name: "exit", events: []event{{word: "start"}, {word: "exit", rest: "7"}}, code: 7},
		{name: "no start", want: ErrVanished},
		{name: "no exit", events: []event{{word: "start"}}, want: ErrVanished},
		{name: "guest failed", events: []event{{word: "fail", rest: "no 9p"}}, want: ErrBoot},
		{name: "nonsense", events: []event{{word: "start"}, {word: "exit", rest: "x"}}, want: ErrVanished},
		{name: "out of turn", events: []event{{word: "exit", rest: "0"}}, want: ErrBoot},
		{name: "panic", events: []event{{word: "start"}}, console: "Kernel panic - not syncing: x\n", want: ErrPanic},
		{name: "panic after the end", events: []event{{word: "start"}, {word: "exit", rest: "0"}},
			console: "Kernel panic - not syncing: x\n", want: ErrPanic},
		{name: "panic, then timeout", events: []event{{word: "start"}}, why: ErrTimeout,
			console: "kernel BUG at x\n", want: ErrPanic},
		{name: "timeout", events: []event{{word: "start"}}, why: ErrTimeout, want: ErrTimeout},
		{name: "output", events: []event{{word: "start"}, {err: broken}}, want: broken},
	} {
		// A process that is over: killing it must do no harm.
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
		g := &guest{console: &console{}, qemu: p, why: c.why}
		if _, err := g.console.Write([]byte(c.console)); err != nil {
			t.Fatal(err)
		}
		at := booting
		for _, e := range c.events {
			at = g.advance(at, e)
		}
		code, err := g.verdict(at, nil)
		if code != c.code || !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, code, err, c.code, c.want)
		}
		var failed *GuestError
		if ofGuest := c.want != nil && c.want != broken; errors.As(err, &failed) != ofGuest {
			t.Errorf("%s: error is %T", c.name, err)
		}
	}
}
