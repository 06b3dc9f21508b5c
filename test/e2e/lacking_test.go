package e2e

import (
	"os"
	"strings"
	"testing"
)

// lacks is what the kernel of a virtual machine was booted without, on purpose: a cgroup controller. The tests of such a
// machine run alone, by name.
var lacks = os.Getenv("MMBOX_LACKS")

// A host without a controller runs nothing that asks for its limit, says so, and goes without it when it is told to.
func TestLackingController(t *testing.T) {
	if lacks == "" {
		t.Skip("needs a kernel booted without a cgroup controller: the vm tier boots one")
	}
	l := newLab(t)
	l.fails(125, []string{"no cgroup controller " + lacks, "cgroup_disable=" + lacks, "mmbox doctor"}, "run", "shell", "busybox", "true")
	l.fails(1, []string{"no cgroup controller " + lacks}, "start", "shell")
	if r := l.run("doctor"); r.code != 1 || !strings.Contains(r.stdout, "MISSING") {
		t.Errorf("doctor finds nothing missing:\n%v", r)
	}
	r := l.run("run", "--keep", "--id", "loose", "--best-effort", "shell", "busybox", "true")
	if r.code != 0 || !strings.Contains(r.stderr, "warning: this host has no cgroup controller "+lacks) {
		t.Errorf("with --best-effort:\n%v", r)
	}
	if out := l.ok("inspect", "loose"); !strings.Contains(out, "unlimited: "+lacks) || !strings.Contains(out, "is not enforced") {
		t.Errorf("inspect does not keep what was gone without:\n%s", out)
	}
}
