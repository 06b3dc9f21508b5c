package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"mmbox/cgroups"
	"mmbox/isolation"
	"mmbox/models"
	"mmbox/rootfs"
	"mmbox/runtime"
	"mmbox/seccomp"
)

// sandboxFlags are those of every verb that makes a sandbox from a model.
func sandboxFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set a variable, as `NAME=VALUE`"},
		&cli.StringFlag{Name: "cpu", Usage: "limit processor time to `CORES`: 0.5, 2 or 500m"},
		&cli.StringFlag{Name: "memory", Aliases: []string{"m"}, Usage: "limit memory to `SIZE`, such as 512Mi; swap is off"},
		&cli.Int64Flag{Name: "pids", Usage: "limit processes and threads to `N`"},
		&cli.StringFlag{Name: "tmp", Usage: "limit /tmp to `SIZE`, such as 16Mi"},
		&cli.StringFlag{Name: "network", Usage: "network `KIND`: none, or host (loosens the sandbox)"},
		&cli.StringFlag{Name: "seccomp", Usage: "system call filter `PROFILE`: default, or unconfined (loosens the sandbox)"},
		&cli.StringSliceFlag{Name: "cap-add", Usage: "keep a `CAPABILITY` (loosens the sandbox)"},
		&cli.BoolFlag{Name: "root-user", Usage: "run as uid 0 of the user namespace (loosens the sandbox)"},
		&cli.BoolFlag{Name: "host-users", Usage: "make no user namespace: ids inside are the host's (loosens the sandbox)"},
		&cli.BoolFlag{Name: "new-privileges", Usage: "let set-user-ID programs gain privileges (loosens the sandbox)"},
		&cli.BoolFlag{Name: "best-effort", Usage: "go without what this host cannot enforce; inspect keeps the warnings"},
		&cli.StringSliceFlag{Name: "label", Aliases: []string{"l"}, Usage: "attach a label, as `NAME=VALUE`"},
	}
}

// A programError is a program that a sandbox's root does not have, found before anything was made.
type programError struct {
	err  error
	code int
}

func (p *programError) Error() string { return p.err.Error() }
func (p *programError) Unwrap() error { return p.err }

// A request is a sandbox that a person asked for.
type request struct {
	id       string
	model    *installed
	entry    string   // of the manifest
	args     []string // replace the entrypoint's, if any
	terminal bool
	remove   bool // when it ends
	log      string
}

// blueprint turns a request and a verb's flags into what a sandbox is made from.
func (m *mmbox) blueprint(c *cli.Context, dir runtime.Dir, r request) (runtime.Blueprint, error) {
	manifest := r.model.Manifest
	process, err := r.process(c)
	if err != nil {
		return runtime.Blueprint{}, err
	}
	if err := override(c, &manifest.Resources); err != nil {
		return runtime.Blueprint{}, err
	}
	labels, err := pairs("label", c.StringSlice("label"))
	if err != nil {
		return runtime.Blueprint{}, err
	}
	policy, warnings, err := policyOf(c, dir, manifest)
	if err != nil {
		return runtime.Blueprint{}, err
	}
	limits := cgroups.Limits{CPU: int64(manifest.Resources.CPU), Memory: int64(manifest.Resources.Memory), PIDs: manifest.Resources.PIDs}
	profile := seccomp.Default().Spec()
	return runtime.Blueprint{
		UserNamespace: policy.UserNamespace(),
		Record: runtime.Record{
			ID: r.id, Model: manifest.Name, Version: manifest.Version, Digest: r.model.Digest, Entrypoint: r.entry,
			Labels: labels, Limits: limits, Tmp: manifest.Resources.Tmp, Loosened: policy.Loosened(), Warnings: warnings,
			Log: r.log, Remove: r.remove,
		},
		Specification: func(users isolation.Range) *specs.Spec {
			return policy.Spec(isolation.Surroundings{
				Hostname: hostname(r.id), Root: r.model.root, Users: users, Cgroup: dir.Cgroup(r.id),
				Limits: limits, Tmp: manifest.Resources.Tmp, Process: process, Filter: profile, Labels: labels,
			})
		},
	}, nil
}

// hostname is the id as far as the kernel takes it: 64 bytes, of which an id has 63 at most.
func hostname(id string) string { return id }

// process is the entrypoint's, or the program that a person named instead.
func (r request) process(c *cli.Context) (isolation.Process, error) {
	p := isolation.Process{Terminal: r.terminal, Env: map[string]string{}}
	entry, err := entrypoint(r.model.Manifest, r.entry)
	if err != nil && len(r.args) == 0 {
		return p, err
	}
	if err == nil {
		p.Args, p.Dir = entry.Args, entry.Dir
		maps.Copy(p.Env, entry.Env)
	}
	if len(r.args) > 0 {
		p.Args = slices.Clone(r.args)
	}
	env, err := pairs("env", c.StringSlice("env"))
	if err != nil {
		return p, err
	}
	maps.Copy(p.Env, env)
	path := isolation.Path
	if own, ok := p.Env["PATH"]; ok {
		path = own
	}
	p.Args = slices.Clone(p.Args)
	p.Args[0], err = lookPath(r.model.root, p.Args[0], path)
	return p, err
}

func lookPath(root, name, path string) (string, error) {
	found, err := rootfs.LookPath(root, name, path)
	switch {
	case errors.Is(err, rootfs.ErrNoProgram):
		return "", &programError{err, 127}
	case errors.Is(err, rootfs.ErrNotExecutable):
		return "", &programError{err, 126}
	}
	return found, err
}

func entrypoint(m models.Manifest, name string) (*models.Entrypoint, error) {
	of := map[string]*models.Entrypoint{"infer": m.Run.Infer, "serve": m.Run.Serve}
	entry, known := of[name]
	if !known {
		return nil, &usage{fmt.Sprintf("entrypoint %q: write infer or serve", name)}
	}
	if entry == nil {
		return nil, withHint(fmt.Errorf("model %q has no entrypoint %q", m.Name, name), "its manifest's run: has the other one only")
	}
	return entry, nil
}

// override sets the limits that were given as flags.
func override(c *cli.Context, r *models.Resources) (err error) {
	if c.IsSet("cpu") {
		if r.CPU, err = models.ParseCPU(c.String("cpu")); err != nil {
			return &usage{fmt.Sprintf("--cpu: %v", err)}
		}
	}
	for name, to := range map[string]*models.Size{"memory": &r.Memory, "tmp": &r.Tmp} {
		if !c.IsSet(name) {
			continue
		}
		if *to, err = models.ParseSize(c.String(name)); err != nil {
			return &usage{fmt.Sprintf("--%s: %v", name, err)}
		}
	}
	if c.IsSet("pids") {
		if r.PIDs = c.Int64("pids"); r.PIDs < 1 {
			return &usage{fmt.Sprintf("--pids %d: write at least 1", r.PIDs)}
		}
	}
	return nil
}

// policyOf is the manifest's policy, loosened by the flags, and held against what the host can enforce.
func policyOf(c *cli.Context, dir runtime.Dir, m models.Manifest) (isolation.Policy, []string, error) {
	p := isolation.FromManifest(m)
	for _, choice := range []struct {
		flag, strict, loose string
		apply               func(isolation.Policy) isolation.Policy
	}{
		{"network", "none", "host", isolation.Policy.WithHostNetwork},
		{"seccomp", "default", "unconfined", isolation.Policy.WithoutSeccomp},
	} {
		switch v := c.String(choice.flag); v {
		case "", choice.strict:
		case choice.loose:
			p = choice.apply(p)
		default:
			return p, nil, &usage{fmt.Sprintf("--%s %q: write %s or %s", choice.flag, v, choice.strict, choice.loose)}
		}
	}
	for flag, apply := range map[string]func(isolation.Policy) isolation.Policy{
		"root-user": isolation.Policy.WithRootUser, "host-users": isolation.Policy.WithHostUsers, "new-privileges": isolation.Policy.WithNewPrivileges,
	} {
		if c.Bool(flag) {
			p = apply(p)
		}
	}
	for _, name := range c.StringSlice("cap-add") {
		capability, err := isolation.Capability(name)
		if err != nil {
			return p, nil, &usage{fmt.Sprintf("--cap-add: %v", err)}
		}
		p = p.WithCapability(capability)
	}
	if c.Bool("best-effort") {
		return p.Downgrade(isolation.DefaultProc, dir.Host())
	}
	return p, nil, p.Check(isolation.DefaultProc, dir.Host())
}

// pairs parses NAME=VALUE.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || strings.ContainsRune(text, 0) {
			return nil, &usage{fmt.Sprintf("--%s %q: write NAME=VALUE", flag, text)}
		}
		out[name] = value
	}
	return out, nil
}

// newID returns the id of a sandbox that nobody named: its model's name, as far as it fits, and a random ending.
func newID(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	random := make([]byte, 6)
	rand.Read(random)
	for i := range random {
		random[i] = letters[random[i]%32]
	}
	return name[:min(len(name), 56)] + "-" + string(random)
}
