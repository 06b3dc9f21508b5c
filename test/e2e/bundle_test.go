package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherRuntimesRunTheBundle writes a model as a bundle and has unmodified runc and crun run it: their output is that
// of mmbox run, seen from inside as well.
func TestOtherRuntimesRunTheBundle(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("digits", strings.Join([]string{
		"rootfs: [{dir: root}]",
		"run: {infer: {args: [/probe, look]}}",
		"resources: {cpu: 1, memory: 32Mi, pids: 16, tmp: 1Mi}", "",
	}, "\n"))
	own := read[view](t, l.run("run", "--id", "digits", "digits"))
	for _, other := range []string{"runc", "crun"} {
		program, err := exec.LookPath(other)
		if err != nil {
			t.Fatalf("%v: install %s", err, other)
		}
		dir := l.state + "-" + other
		if out := l.ok("bundle", "digits", dir); out != dir+"\n" {
			t.Errorf("bundle: %q", out)
		}
		out, errs, err := runBundle(l, program, dir)
		if err != nil {
			t.Errorf("%s: %v: %s", other, err, errs)
			continue
		}
		v := read[view](t, result{args: []string{other}, stdout: out, stderr: errs})
		// runc and crun set these themselves, or by their own habits.
		v.Namespaces, v.Mounts, v.Cgroup, v.UIDMap = own.Namespaces, own.Mounts, own.Cgroup, own.UIDMap
		for _, name := range []string{"Pid", "NSpid", "NStgid", "NSpgid", "NSsid", "Tgid", "FDSize", "VmPeak"} {
			v.Status[name] = own.Status[name]
		}
		if a, b := comparable(v), comparable(own); a != b {
			t.Errorf("inside %s:\n%s\ninside mmbox:\n%s", other, a, b)
		}
	}
	l.fails(1, []string{"bundle", l.state + "-runc"}, "bundle", "digits", l.state+"-runc") // is not empty
	l.fails(1, []string{"no such model"}, "bundle", "absent", l.state+"-absent")
	if _, err := os.Stat(l.state + "-absent"); err == nil {
		t.Error("a directory was made for a model that is not there")
	}
}

// comparable is what must be the same in every runtime.
func comparable(v view) string {
	return fmt.Sprintln(v.UID, v.GID, len(v.Groups), v.PID, v.Hostname, v.Descriptors["0"] != "", len(v.Descriptors), v.Interfaces, v.Processes, v.Root, v.Env, v.Dir,
		v.Status["CapEff"], v.Status["CapBnd"], v.Status["CapPrm"], v.Status["CapInh"], v.Status["CapAmb"], v.Status["NoNewPrivs"], v.Status["Seccomp"])
}

// runBundle runs a bundle. crun knows a hybrid host's cgroups by its version 2 part only if that is mounted, and would then
// find no controllers there: it gets a mount namespace without it.
func runBundle(l *lab, program, dir string) (stdout, stderr string, err error) {
	id := "mmbox-e2e-" + filepath.Base(program) + "-" + filepath.Base(filepath.Dir(l.state))
	state := dir + "-state"
	script := `[ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified; exec "$0" "$@"`
	if filepath.Base(program) != "crun" {
		script = `exec "$0" "$@"`
	}
	cmd := exec.Command("/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, program, "--root", state, "run", "--bundle", dir, id)
	var out, errs output
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("exit %d", exit.ExitCode())
	}
	return out.String(), errs.String(), err
}
