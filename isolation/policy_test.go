package isolation

import (
	"bytes"
	"slices"
	"testing"

	"mmbox/models"
)

func TestStrictestLiftsNothing(t *testing.T) {
	var p Policy
	if got := p.Loosened(); len(got) != 0 {
		t.Errorf("the zero policy lifts %v", got)
	}
	if !p.UserNamespace() || !p.Seccomp() {
		t.Error("the zero policy has no user namespace or no filter")
	}
	if got := FromManifest(models.Manifest{}).Loosened(); len(got) != 0 {
		t.Errorf("the zero manifest lifts %v", got)
	}
}

// TestLoosenings: each lifts one protection, says so, and leaves the policy it was made from as it was.
func TestLoosenings(t *testing.T) {
	for _, l := range loosenings {
		if got := l.policy.Loosened(); !slices.Equal(got, []string{l.says}) {
			t.Errorf("%s: says %q, want %q", l.name, got, l.says)
		}
	}
}

func TestModifiersCopy(t *testing.T) {
	base := Policy{}.WithCapability("CAP_CHOWN").WithCapability("CAP_FOWNER").WithCapability("CAP_KILL").WithoutLimit("cpu")
	want := marshal(t, base.Spec(surroundings()))
	says := base.Loosened()
	// Two policies grown from one must not share what they grow into.
	left := base.WithCapability("CAP_SETUID").WithoutLimit("memory")
	right := base.WithCapability("CAP_SETGID").WithoutLimit("pids")
	if !slices.Contains(left.Loosened(), "capability: CAP_SETUID") || !slices.Contains(left.Loosened(), "unlimited: memory") {
		t.Errorf("a later copy changed an earlier one: %v", left.Loosened())
	}
	if slices.Contains(right.Loosened(), "capability: CAP_SETUID") {
		t.Errorf("copies share their capabilities: %v", right.Loosened())
	}
	for _, modify := range []func(Policy) Policy{
		Policy.WithHostNetwork, Policy.WithHostUsers, Policy.WithRootUser, Policy.WithNewPrivileges, Policy.WithoutSeccomp,
		func(p Policy) Policy { return p.WithCapability("CAP_SYS_ADMIN") }, withoutLimit("pids"),
	} {
		if changed := modify(base); slices.Equal(changed.Loosened(), says) {
			t.Error("a modifier changed nothing")
		}
	}
	if got := marshal(t, base.Spec(surroundings())); !bytes.Equal(got, want) {
		t.Errorf("a modifier changed the policy it copied:\n%s", difference(want, got))
	}
}

func TestFromManifest(t *testing.T) {
	m := models.Manifest{Network: "host", Seccomp: "unconfined", Loosen: models.Loosen{
		RootUser: true, HostUsers: true, NewPrivileges: true, Capabilities: []string{"CAP_CHOWN", "CAP_KILL"},
	}}
	p := FromManifest(m)
	m.Loosen.Capabilities[0] = "CAP_SYS_ADMIN"
	want := []string{"network: host", "seccomp: unconfined", "host_users", "root_user", "new_privileges", "capability: CAP_CHOWN", "capability: CAP_KILL"}
	if got := p.Loosened(); !slices.Equal(got, want) {
		t.Errorf("lifts %q, want %q", got, want)
	}
	if got := FromManifest(models.Manifest{Network: "none", Seccomp: "default"}).Loosened(); len(got) != 0 {
		t.Errorf("a manifest of defaults lifts %q", got)
	}
}

func TestCapability(t *testing.T) {
	for _, text := range []string{"net_bind_service", "NET_BIND_SERVICE", "CAP_NET_BIND_SERVICE", "cap_net_bind_service"} {
		if got, err := Capability(text); err != nil || got != "CAP_NET_BIND_SERVICE" {
			t.Errorf("capability %q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "CAP_", "all", "NET_BIND", "CAP_CAP_CHOWN", "CAP_CHOWN "} {
		got, err := Capability(text)
		if err == nil {
			t.Errorf("capability %q is %q", text, got)
		}
	}
	_, err := Capability("NET_BIND")
	if want := `no capability "NET_BIND": write one of capabilities(7), such as NET_BIND_SERVICE`; err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
