package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// A view is what the probe saw from inside.
type view struct {
	UID, GID, PID int
	Groups        []int
	Hostname      string
	Status        map[string]string
	Descriptors   map[string]string
	Mounts        []string
	Interfaces    []string
	Processes     []int
	Namespaces    map[string]string
	Cgroup        string
	Root, Env     []string
	Dir           string
	UIDMap        string `json:"uid_map"`
}

// TestInside looks from three places: a program of run, of start (through its log) and of exec.
func TestInside(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Run("run", func(t *testing.T) {
		checkView(t, "box", read[view](t, l.run("run", "--id", "box", "probe", "/probe", "look")))
	})
	t.Run("exec", func(t *testing.T) {
		l.ok("start", "--id", "served", "probe")
		v := read[view](t, l.run("exec", "served", "/probe", "look"))
		v.PID = 1                                      // a further program has another number,
		v.Processes = slices.Delete(v.Processes, 1, 2) // and is not alone
		checkView(t, "served", v)
	})
}

func checkView(t *testing.T, id string, v view) {
	t.Helper()
	check := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("uid", v.UID, 1000)
	check("gid", v.GID, 1000)
	check("groups", len(v.Groups), 0)
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		check(set, v.Status[set], "0000000000000000")
	}
	check("seccomp", v.Status["Seccomp"], 2)
	check("no_new_privs", v.Status["NoNewPrivs"], 1)
	check("interfaces", v.Interfaces, "[lo up|loopback|running]")
	check("processes", v.Processes, "[1]")
	check("pid", v.PID, 1)
	check("hostname", v.Hostname, id)
	check("cgroup", strings.Contains(v.Cgroup, "mmbox"), false)
	check("root", v.Root, "[dev etc probe proc run tmp]")
	check("directory", v.Dir, "/")
	check("descriptors", slices.Sorted(maps.Keys(v.Descriptors)), "[0 1 2]")
	if fields := strings.Fields(v.UIDMap); len(fields) != 3 || fields[0] != "0" || fields[1] == "0" {
		t.Errorf("uid map %q", v.UIDMap)
	}
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		own, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if v.Namespaces[name] == own || v.Namespaces[name] == "" {
			t.Errorf("namespace %s: %q inside, %q outside", name, v.Namespaces[name], own)
		}
	}
	checkMounts(t, v.Mounts)
	for _, e := range v.Env {
		if name, _, _ := strings.Cut(e, "="); name != "PATH" && name != "HOME" {
			t.Errorf("a variable came in: %s", e)
		}
	}
}

// checkMounts holds the mounts to those of a sandbox, by place and options.
func checkMounts(t *testing.T, list []string) {
	t.Helper()
	for _, line := range list {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			t.Errorf("mount %q", line)
			continue
		}
		place, options := fields[4], strings.Split(fields[5], ",")
		switch {
		case place == "/", strings.HasPrefix(place, "/proc/"):
			if !slices.Contains(options, "ro") && !strings.Contains(line, " /null ") {
				t.Errorf("%s can be written to: %s", place, line)
			}
		case place == "/proc", place == "/dev", strings.HasPrefix(place, "/dev/"), place == "/tmp":
		default:
			t.Errorf("unexpected mount: %s", line)
		}
		if strings.Contains(line, base) && place != "/" {
			t.Errorf("the host shows: %s", line)
		}
	}
}

// TestAttempts has the program try what a sandbox must not allow, and what it must.
func TestAttempts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	listener := "mmbox-e2e-" + l.state
	socket, err := net.Listen("unix", "@"+listener)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	got := read[map[string]string](t, l.run("run", "-e", "LISTENER="+listener, "probe", "/probe", "try"))
	want := map[string]string{
		"write /tmp/new": "done", "write /dev/shm/new": "done",
		"write /new": "EROFS", "write /etc/new": "EROFS", "change the program": "EACCES",
		"connect to loopback": "ECONNREFUSED", "connect to the network": "ENETUNREACH", "connect to host's listener": "ECONNREFUSED",
		"open kernel memory": "ENOENT", "open /dev/kmsg": "ENOENT",
	}
	for name, result := range got {
		if expected, fixed := want[name]; fixed && result != expected || !fixed && result == "done" {
			t.Errorf("%s: %s, want %s", name, result, expected)
		}
		delete(want, name)
	}
	if len(want) > 0 || len(got) < 25 {
		t.Errorf("not tried: %v", want)
	}
	t.Logf("%v", got)
}

// TestNoDescriptorIsInherited calls mmbox as careless programs do: with files open that they did not mark.
func TestNoDescriptorIsInherited(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	secret, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	careless := []*os.File{secret, secret, nil, secret, secret, secret, secret, secret} // 3 and more
	cmd := l.command("run", "probe", "/probe", "look")
	cmd.ExtraFiles = careless
	v := read[view](t, l.finish(cmd))
	if got := slices.Sorted(maps.Keys(v.Descriptors)); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("run: descriptors %v", v.Descriptors)
	}
	cmd = l.command("start", "--id", "served", "probe")
	cmd.ExtraFiles = careless
	if r := l.finish(cmd); r.code != 0 {
		t.Fatalf("%v", r)
	}
	// A descriptor that leaked to the served program would be shown by the host's /proc.
	pid := l.inspect("served").PID
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		if err == nil && strings.Contains(target, "passwd") {
			t.Errorf("start: descriptor %s is %s", e.Name(), target)
		}
	}
	cmd = l.command("exec", "served", "/probe", "look")
	cmd.ExtraFiles = careless
	if v := read[view](t, l.finish(cmd)); len(v.Descriptors) != 3 {
		t.Errorf("exec: descriptors %v", v.Descriptors)
	}
}
