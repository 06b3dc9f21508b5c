package isolation

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mmbox/cgroups"
)

// complete are the files by which a kernel shows that it has everything.
var complete = []string{
	"self/ns/mnt", "self/ns/pid", "self/ns/ipc", "self/ns/uts", "self/ns/cgroup", "self/ns/net", "self/ns/user",
	"sys/kernel/seccomp/actions_avail", "sys/user/max_user_namespaces",
}

// kernel makes a proc file system that lacks some files.
func kernel(t *testing.T, lacks ...string) Proc {
	t.Helper()
	dir := t.TempDir()
	for _, name := range complete {
		if !slices.Contains(lacks, name) {
			write(t, filepath.Join(dir, name), "10000\n")
		}
	}
	return Proc(dir)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// v2 makes a cgroup host of version 2 with some controllers.
func v2(t *testing.T, controllers ...string) cgroups.Host {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cgroup.controllers"), strings.Join(controllers, " ")+"\n")
	return detect(t, dir)
}

// v1 makes a cgroup host of version 1 with a hierarchy for each name.
func v1(t *testing.T, hierarchies ...string) cgroups.Host {
	t.Helper()
	dir := t.TempDir()
	for _, name := range hierarchies {
		write(t, filepath.Join(dir, name, "cgroup.procs"), "")
	}
	return detect(t, dir)
}

func detect(t *testing.T, dir string) cgroups.Host {
	t.Helper()
	host, err := cgroups.Detect(cgroups.FS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func missing(features []Feature) []string {
	var names []string
	for _, f := range features {
		if !f.OK {
			names = append(names, f.Name)
		}
	}
	return names
}

func TestFeatures(t *testing.T) {
	whole := v2(t, "cpu", "memory", "pids")
	for _, c := range []struct {
		name string
		proc Proc
		host cgroups.Host
		lack []string
	}{
		{"a whole kernel", kernel(t), whole, nil},
		{"version 1", kernel(t), v1(t, "cpu,cpuacct", "memory", "pids", "freezer", "devices"), nil},
		{"version 1 without two", kernel(t), v1(t, "cpu,cpuacct", "memory", "pids"), []string{"cgroup freezer", "cgroup devices"}},
		{"no memory controller", kernel(t), v2(t, "cpu", "pids"), []string{"cgroup controller memory"}},
		{"no namespaces", kernel(t, "self/ns/mnt", "self/ns/net"), whole, []string{"mount namespaces", "network namespaces"}},
		{"no seccomp", kernel(t, "sys/kernel/seccomp/actions_avail"), whole, []string{"seccomp filters"}},
		{"no limit of user namespaces", kernel(t, "sys/user/max_user_namespaces"), whole, []string{"user namespaces"}},
		{"no user namespaces", kernel(t, "self/ns/user"), whole, []string{"user namespaces"}},
	} {
		got := Features(c.proc, c.host)
		if len(got) != len(probes) {
			t.Errorf("%s: %d features, want %d", c.name, len(got), len(probes))
		}
		if lack := missing(got); !slices.Equal(lack, c.lack) {
			t.Errorf("%s: lacks %q, want %q", c.name, lack, c.lack)
		}
	}
	off := kernel(t)
	write(t, filepath.Join(string(off), "sys/user/max_user_namespaces"), "0\n")
	if lack := missing(Features(off, whole)); !slices.Equal(lack, []string{"user namespaces"}) {
		t.Errorf("a limit of 0 user namespaces: lacks %q", lack)
	}
	if lack := missing(Features(Proc(t.TempDir()), cgroups.Host{Mode: cgroups.None})); len(lack) != len(probes) {
		t.Errorf("a host without anything lacks only %q", lack)
	}
}

// TestProbes: every feature says what it is for, since when it should be there and what to do, and those that can be
// gone without are those whose policy no longer needs them.
func TestProbes(t *testing.T) {
	for _, p := range probes {
		if p.Name == "" || p.Since == "" || p.Use == "" || p.Hint == "" {
			t.Errorf("%+v: something is not said", p.Feature)
		}
		if !p.needed(Policy{}) {
			t.Errorf("%s: the strictest policy does not need it", p.Name)
		}
		if p.without != nil && p.needed(p.without(Policy{})) {
			t.Errorf("%s: the policy that goes without still needs it", p.Name)
		}
	}
}

func TestCheck(t *testing.T) {
	whole := v2(t, "cpu", "memory", "pids")
	if err := (Policy{}).Check(kernel(t), whole); err != nil {
		t.Errorf("a whole kernel: %v", err)
	}
	const says = "this host cannot enforce what the sandbox needs: "
	for _, c := range []struct {
		name   string
		policy Policy
		proc   Proc
		host   cgroups.Host
		want   string
	}{
		{"one", Policy{}, kernel(t, "sys/kernel/seccomp/actions_avail"), whole,
			"no seccomp filters (few system calls): use a kernel built with CONFIG_SECCOMP_FILTER"},
		{"two", Policy{}, kernel(t, "self/ns/user"), v2(t, "cpu", "memory"),
			"no user namespaces (root inside is nobody outside): raise it: sysctl user.max_user_namespaces=10000; " +
				"no cgroup controller pids (the limit of processes): mount cgroup2 with it, or boot without cgroup_disable=pids"},
		{"what is lifted is not needed", Policy{}.WithHostNetwork().WithoutLimit("memory").WithoutSeccomp(),
			kernel(t, "self/ns/net", "sys/kernel/seccomp/actions_avail", "self/ns/uts"), v2(t, "cpu", "pids"),
			"no uts namespaces (a host name of its own): use a kernel built with CONFIG_UTS_NS"},
	} {
		err := c.policy.Check(c.proc, c.host)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v is not ErrUnsupported", c.name, err)
			continue
		}
		if err.Error() != says+c.want {
			t.Errorf("%s:\ngot  %v\nwant %s%s", c.name, err, says, c.want)
		}
	}
}

func TestDowngrade(t *testing.T) {
	proc, host := kernel(t, "self/ns/net", "self/ns/user", "sys/kernel/seccomp/actions_avail"), v2(t)
	before := Policy{}.WithRootUser()
	got, warnings, err := before.Downgrade(proc, host)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings := []string{
		"this host has no network namespaces: no network but loopback is not enforced",
		"this host has no user namespaces: root inside is nobody outside is not enforced",
		"this host has no seccomp filters: few system calls is not enforced",
		"this host has no cgroup controller cpu: the cpu limit is not enforced",
		"this host has no cgroup controller memory: the memory limit is not enforced",
		"this host has no cgroup controller pids: the limit of processes is not enforced",
	}
	if !slices.Equal(warnings, wantWarnings) {
		t.Errorf("warnings:\n%s\nwant\n%s", strings.Join(warnings, "\n"), strings.Join(wantWarnings, "\n"))
	}
	want := []string{"network: host", "seccomp: unconfined", "host_users", "root_user", "unlimited: cpu", "unlimited: memory", "unlimited: pids"}
	if !slices.Equal(got.Loosened(), want) {
		t.Errorf("remains %q, want %q", got.Loosened(), want)
	}
	if !slices.Equal(before.Loosened(), []string{"root_user"}) {
		t.Errorf("the policy itself was changed: %q", before.Loosened())
	}

	same, warnings, err := before.Downgrade(kernel(t), v2(t, "cpu", "memory", "pids"))
	if err != nil || len(warnings) != 0 || !slices.Equal(same.Loosened(), before.Loosened()) {
		t.Errorf("a whole kernel: %q, %q, %v", same.Loosened(), warnings, err)
	}
	_, _, err = Policy{}.Downgrade(kernel(t, "self/ns/pid"), host)
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "no pid namespaces") {
		t.Errorf("without pid namespaces: %v, want ErrUnsupported that names them", err)
	}
}
