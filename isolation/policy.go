package isolation

import (
	"slices"

	"mmbox/models"
)

// A Policy says which protections of the default sandbox are lifted. The zero value lifts none. It is immutable: the
// With methods return copies.
type Policy struct {
	hostNetwork   bool
	hostUsers     bool
	rootUser      bool
	newPrivileges bool
	noSeccomp     bool
	capabilities  []string
	limitless     []string
}

// FromManifest returns the policy that a parsed manifest asks for.
func FromManifest(m models.Manifest) Policy {
	return Policy{
		hostNetwork:   m.Network == "host",
		hostUsers:     m.Loosen.HostUsers,
		rootUser:      m.Loosen.RootUser,
		newPrivileges: m.Loosen.NewPrivileges,
		noSeccomp:     m.Seccomp == "unconfined",
		capabilities:  slices.Clone(m.Loosen.Capabilities),
	}
}

// WithHostNetwork leaves the sandbox in the host's network namespace.
func (p Policy) WithHostNetwork() Policy { p.hostNetwork = true; return p }

// WithHostUsers runs the sandbox without a user namespace: ids inside are the host's.
func (p Policy) WithHostUsers() Policy { p.hostUsers = true; return p }

// WithRootUser runs the program as uid 0 of its user namespace.
func (p Policy) WithRootUser() Policy { p.rootUser = true; return p }

// WithNewPrivileges lets set-user-ID programs gain privileges.
func (p Policy) WithNewPrivileges() Policy { p.newPrivileges = true; return p }

// WithoutSeccomp loads no system call filter.
func (p Policy) WithoutSeccomp() Policy { p.noSeccomp = true; return p }

// WithCapability keeps one capability, named as in capabilities(7).
func (p Policy) WithCapability(name string) Policy {
	p.capabilities = append(slices.Clone(p.capabilities), name)
	return p
}

// WithoutLimit leaves one limit out: cpu, memory or pids.
func (p Policy) WithoutLimit(name string) Policy {
	p.limitless = append(slices.Clone(p.limitless), name)
	return p
}

func (p Policy) unlimited(name string) bool { return slices.Contains(p.limitless, name) }

// UserNamespace reports whether the sandbox needs a Range of its own.
func (p Policy) UserNamespace() bool { return !p.hostUsers }

// Seccomp reports whether the sandbox has a system call filter.
func (p Policy) Seccomp() bool { return !p.noSeccomp }

// Loosened names the protections that are lifted, in a fixed order; it is empty for the strictest policy.
func (p Policy) Loosened() []string {
	var list []string
	for _, l := range []struct {
		lifted bool
		name   string
	}{
		{p.hostNetwork, "network: host"},
		{p.noSeccomp, "seccomp: unconfined"},
		{p.hostUsers, "host_users"},
		{p.rootUser, "root_user"},
		{p.newPrivileges, "new_privileges"},
	} {
		if l.lifted {
			list = append(list, l.name)
		}
	}
	for _, c := range p.capabilities {
		list = append(list, "capability: "+c)
	}
	for _, l := range p.limitless {
		list = append(list, "unlimited: "+l)
	}
	return list
}
