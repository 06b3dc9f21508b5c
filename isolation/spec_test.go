package isolation

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"mmbox/cgroups"
	"mmbox/models"
)

var update = flag.Bool("update", false, "write the golden files anew")

// surroundings are the same in every test: what differs between specifications is the policy's doing.
func surroundings() Surroundings {
	return Surroundings{
		Hostname: "tiny",
		Root:     "/srv/root",
		Users:    Range{First: 1900000000, Size: 65536},
		Cgroup:   "/mmbox/tiny",
		Limits:   cgroups.Limits{CPU: 500, Memory: 32 << 20, PIDs: 16},
		Tmp:      models.Size(1 << 20),
		Process:  Process{Args: []string{"/bin/tiny", "infer"}, Env: map[string]string{"LANG": "C", "A": "1", "HOME": "/"}, Dir: "/tmp"},
		Filter: &specs.LinuxSeccomp{
			DefaultAction: specs.ActErrno,
			Architectures: []specs.Arch{specs.ArchX86_64},
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"read", "write", "exit_group"}, Action: specs.ActAllow}},
		},
		Labels: map[string]string{"owner": "tests"},
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// loosenings are the policies that lift one protection of the strictest.
var loosenings = []struct {
	name   string
	policy Policy
	says   string // what inspect shows
}{
	{"host_network", Policy{}.WithHostNetwork(), "network: host"},
	{"unconfined", Policy{}.WithoutSeccomp(), "seccomp: unconfined"},
	{"host_users", Policy{}.WithHostUsers(), "host_users"},
	{"root_user", Policy{}.WithRootUser(), "root_user"},
	{"new_privileges", Policy{}.WithNewPrivileges(), "new_privileges"},
	{"capability", Policy{}.WithCapability("CAP_NET_BIND_SERVICE"), "capability: CAP_NET_BIND_SERVICE"},
	{"unlimited_cpu", Policy{}.WithoutLimit("cpu"), "unlimited: cpu"},
	{"unlimited_memory", Policy{}.WithoutLimit("memory"), "unlimited: memory"},
	{"unlimited_pids", Policy{}.WithoutLimit("pids"), "unlimited: pids"},
}

// TestSpecGolden holds the strictest specification as a whole, and of every looser one the lines by which it differs:
// a loosening that lifts more than it says shows up as a line too many.
func TestSpecGolden(t *testing.T) {
	strictest := marshal(t, Policy{}.Spec(surroundings()))
	golden(t, "strictest.json", strictest)
	for _, l := range loosenings {
		golden(t, l.name+".diff", difference(strictest, marshal(t, l.policy.Spec(surroundings()))))
	}
	terminal := surroundings()
	terminal.Process.Terminal = true
	golden(t, "terminal.diff", difference(strictest, marshal(t, Policy{}.Spec(terminal))))
	all := Policy{}
	for _, apply := range []func(Policy) Policy{
		Policy.WithHostNetwork, Policy.WithHostUsers, Policy.WithRootUser, Policy.WithNewPrivileges, Policy.WithoutSeccomp,
		withoutLimit("cpu"), withoutLimit("memory"), withoutLimit("pids"),
		func(p Policy) Policy { return p.WithCapability("CAP_CHOWN").WithCapability("CAP_KILL") },
	} {
		all = apply(all)
	}
	golden(t, "loosest.json", marshal(t, all.Spec(surroundings())))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (after a wanted change: go test ./isolation -update):\n%s", file, difference(want, got))
	}
}

// difference returns the lines that only one of two texts has, in order: the longest common subsequence is left out.
func difference(from, to []byte) []byte {
	a, b := strings.Split(string(from), "\n"), strings.Split(string(to), "\n")
	common := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i, x := range slices.Backward(a) {
		for j, y := range slices.Backward(b) {
			if x == y {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out bytes.Buffer
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out.WriteString("- " + a[i] + "\n")
			i++
		default:
			out.WriteString("+ " + b[j] + "\n")
			j++
		}
	}
	return out.Bytes()
}

// TestSpecIsPure: the same input gives the same bytes, and a specification that somebody changes leaves the next alone.
func TestSpecIsPure(t *testing.T) {
	policy := Policy{}.WithCapability("CAP_CHOWN")
	in := surroundings()
	before := marshal(t, in)
	first := policy.Spec(in)
	want := marshal(t, first)
	for range 50 {
		if got := marshal(t, policy.Spec(in)); !bytes.Equal(got, want) {
			t.Fatalf("another specification for the same input:\n%s", difference(want, got))
		}
	}
	first.Process.Rlimits[0].Hard = 9
	first.Process.Capabilities.Bounding[0] = "CAP_SYS_ADMIN"
	first.Process.Env[0] = "X=1"
	first.Linux.MaskedPaths[0] = "/x"
	first.Linux.ReadonlyPaths[0] = "/x"
	first.Linux.UIDMappings[0].HostID = 0
	first.Linux.Namespaces[0].Path = "/x"
	first.Linux.Resources.Devices[0].Allow = true
	*first.Linux.Resources.Memory.Limit = 9
	first.Mounts[0].Options[0] = "suid"
	if first.Linux.GIDMappings[0].HostID == 0 {
		t.Error("user and group mappings share memory")
	}
	if first.Process.Capabilities.Ambient[0] != "CAP_CHOWN" {
		t.Error("capability sets share memory")
	}
	if got := marshal(t, policy.Spec(in)); !bytes.Equal(got, want) {
		t.Errorf("changing a specification changed the next:\n%s", difference(want, got))
	}
	if after := marshal(t, in); !bytes.Equal(after, before) {
		t.Errorf("Spec changed its input:\n%s", difference(before, after))
	}
}

// TestSpecPromises states what the design says of every sandbox, whatever its policy lifts.
func TestSpecPromises(t *testing.T) {
	policies := []Policy{{}}
	for _, l := range loosenings {
		policies = append(policies, l.policy)
	}
	for _, p := range policies {
		spec := p.Spec(surroundings())
		if !spec.Root.Readonly {
			t.Errorf("%v: the root is writable", p.Loosened())
		}
		for _, ns := range []specs.LinuxNamespaceType{specs.MountNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace} {
			if !slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == ns && n.Path == "" }) {
				t.Errorf("%v: no %s namespace of its own", p.Loosened(), ns)
			}
		}
		for _, m := range spec.Mounts {
			if m.Type == "sysfs" || strings.HasPrefix(m.Type, "cgroup") || m.Type == "mqueue" || m.Type == "bind" {
				t.Errorf("%v: a mount of type %s", p.Loosened(), m.Type)
			}
			if !slices.Contains(m.Options, "nosuid") || !slices.Contains(m.Options, "noexec") {
				t.Errorf("%v: %s is mounted without nosuid or noexec", p.Loosened(), m.Destination)
			}
		}
		for _, d := range spec.Linux.Resources.Devices {
			if d.Allow {
				t.Errorf("%v: a device is allowed", p.Loosened())
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := environment(Process{Terminal: true, Env: map[string]string{"TERM": "dumb", "B": "=x", "A": ""}})
	want := []string{"A=", "B==x", "HOME=/tmp", "PATH=" + Path, "TERM=dumb"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if spec := (Policy{}).Spec(Surroundings{Process: Process{Args: []string{"/x"}}}); spec.Process.Cwd != "/" {
		t.Errorf("no directory became %q, want /", spec.Process.Cwd)
	}
}
