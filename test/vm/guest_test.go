package vm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommandScript runs the script in a shell of the host: words must arrive as they were.
func TestCommandScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a $(dir)")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	words := []string{"plain", "", "two words", `it's "quoted"`, "$HOME `id` \\", "new\nline", "*", "-n", "A=B"}
	script := commandScript(Command{Args: append([]string{"/usr/bin/printf", "%s\x01"}, words...), Dir: dir})
	out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput()
	if want := strings.Join(words, "\x01") + "\x01"; err != nil || string(out) != want {
		t.Errorf("printf wrote %q, %v; want %q", out, err, want)
	}
	script = commandScript(Command{Args: []string{"/usr/bin/env"}, Env: []string{"X=a'b c", "HOME=/else", "EMPTY="}, Dir: dir})
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Env = []string{"LEAK=1"}
	out, err = cmd.CombinedOutput()
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(got)
	want := []string{"EMPTY=", "HOME=/else", "MMBOX_VM=1", "PATH=" + basePath, "TERM=dumb", "X=a'b c"}
	// coreutils' env adds nothing; a shell's PWD must not come through.
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("environment is %q, %v\nwant %q", got, err, want)
	}
	// A shell cannot undo that a signal is ignored that was so when it began.
	script = commandScript(Command{Args: []string{"/bin/sh", "-c", "trap 'echo caught' INT; kill -INT $$; echo end"}})
	out, err = exec.Command("/bin/sh", "-c", "trap '' INT QUIT; "+script).CombinedOutput()
	if err != nil || string(out) != "caught\nend\n" {
		t.Errorf("the command ignores signals: %q, %v", out, err)
	}
	err = exec.Command("/bin/sh", "-c", commandScript(Command{Args: []string{"true"}, Dir: "/absent"})).Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 125 {
		t.Errorf("absent directory: %v, want exit 125", err)
	}
}

func TestMountScript(t *testing.T) {
	m := Machine{Share: []Share{{Host: "/a", Guest: "/mnt/it's"}, {Host: "/b", Guest: "/out", Writable: true}},
		Files: []File{{Host: "/c", Guest: "/run/c"}}}
	got := mountScript(m, Kernel{Dir: "/k", Release: "6.1"})
	want := `tmpfs '/run' 755
tmpfs '/tmp' 1777
tmpfs '/var/tmp' 1777
tmpfs '/var/lib/mmbox' 755
tmpfs '/var/cache/mmbox' 755
share share0 '/lib/modules/6.1' cache=loose,ro
share share1 '/mnt/it'\''s' cache=loose,ro
share share2 '/out' cache=mmap,rw
file /vm/files/0 '/run/c'
`
	if got != want {
		t.Errorf("mount script is\n%swant\n%s", got, want)
	}
}

// TestRefused checks that a wrong call fails before anything starts, and says what to write.
func TestRefused(t *testing.T) {
	ok := Command{Args: []string{"true"}}
	for _, c := range []struct {
		name string
		m    Machine
		cmd  Command
		want string
	}{
		{"no command", Machine{}, Command{}, "no command"},
		{"command with =", Machine{}, Command{Args: []string{"a=b"}}, `"a=b"`},
		{"environment", Machine{}, Command{Args: ok.Args, Env: []string{"NOVALUE"}}, "NAME=VALUE"},
		{"NUL", Machine{}, Command{Args: []string{"true", "a\x00b"}}, "NUL"},
		{"accelerator", Machine{Accel: "xen"}, ok, "write tcg or kvm"},
		{"memory", Machine{Memory: 1 << 20}, ok, "256 MiB"},
		{"negative", Machine{CPUs: -1}, ok, "negative"},
		{"absent share", Machine{Share: []Share{{Host: "/absent", Guest: "/x"}}}, ok, `/absent`},
		{"share of a file", Machine{Share: []Share{{Host: "/etc/passwd", Guest: "/x"}}}, ok, "not a directory"},
		{"relative share", Machine{Share: []Share{{Host: ".", Guest: "/x"}}}, ok, "absolute"},
		{"unclean path", Machine{Share: []Share{{Host: "/", Guest: "/x/../y"}}}, ok, "clean"},
		{"file over root", Machine{Files: []File{{Host: "/etc/passwd", Guest: "/"}}}, ok, "below /"},
	} {
		c.m.Cache = filepath.Join(t.TempDir(), "cache")
		if _, err := c.m.Run(context.Background(), c.cmd, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
		if _, err := os.Stat(c.m.Cache); !os.IsNotExist(err) {
			t.Errorf("%s: the cache was touched: %v", c.name, err)
		}
	}
}

func TestRequireTools(t *testing.T) {
	err := requireTools([]tool{{"sh", "dash"}}, []tool{{"absent-1", "pkg-b"}, {"absent-2", "pkg-a"}, {"absent-3", "pkg-b"}})
	if want := "missing absent-1, absent-2, absent-3; run: apt-get install pkg-a pkg-b"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("requireTools = %v, want %q", err, want)
	}
}
