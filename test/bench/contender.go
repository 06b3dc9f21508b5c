package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// runcVersion is the one that our libcontainer is of.
const runcVersion = "v1.5.2"

// A contender is a way to start the program.
type contender struct {
	name    string
	program string // looked up in PATH unless absolute; empty is the program that is started
	apt     string // the package that has it
	about   string
	version []string // its arguments that print a version
	args    func(f *fixture, s slot) []string
}

const (
	plain   = "exec"
	bwrap   = "bwrap"
	crun    = "crun"
	runcApt = "runc-apt"
	runcNew = "runc"
	ours    = "mmbox"
)

// contenders are in the order of a round. An OCI runtime's own state is beside ours.
var contenders = []*contender{
	{name: plain, about: "the program alone", args: func(*fixture, slot) []string { return nil }},
	{name: bwrap, program: "bwrap", apt: "bubblewrap", about: "namespaces and filter, no limits", version: []string{"--version"}, args: bwrapArgs},
	{name: crun, program: "crun", apt: "crun", about: "OCI runtime in C", version: []string{"--version"}, args: ociArgs(crun)},
	{name: runcApt, program: "runc", apt: "runc", about: "the distribution's", version: []string{"--version"}, args: ociArgs(runcApt)},
	{name: runcNew, about: "built from source, static", version: []string{"--version"}, args: ociArgs(runcNew)},
	{name: ours, about: "ours", version: []string{"--version"}, args: oursArgs},
}

func contenderNames() []string {
	var names []string
	for _, c := range contenders {
		names = append(names, c.name)
	}
	return names
}

// choose returns copies of the contenders that were asked for, in the order of a round; all for an empty list.
func choose(only []string) ([]*contender, error) {
	for _, name := range only {
		if !slices.Contains(contenderNames(), name) {
			return nil, fmt.Errorf("--only %q: write some of %s", name, strings.Join(contenderNames(), ","))
		}
	}
	var list []*contender
	for _, c := range contenders {
		if len(only) == 0 || slices.Contains(only, c.name) {
			clone := *c
			list = append(list, &clone)
		}
	}
	return list, nil
}

// present checks that all the programs are there, those of the fixture too.
func present(list []*contender, mmbox string) error {
	if os.Geteuid() != 0 {
		return errors.New("sandboxes are root's: run bench as root")
	}
	if _, err := os.Stat(mmbox); err != nil {
		return fmt.Errorf("--mmbox: %w: build it with make build", err)
	}
	needs := []*contender{{name: "gcc", program: "gcc", apt: "gcc libc6-dev"}, {name: "strace", program: "strace", apt: "strace"}}
	var missing, packages []string
	for _, c := range append(needs, list...) {
		if c.program == "" {
			continue
		}
		path, err := exec.LookPath(c.program)
		if err != nil {
			missing, packages = append(missing, c.program), append(packages, c.apt)
			continue
		}
		c.program = path
	}
	if len(missing) > 0 {
		return fmt.Errorf("not found: %s: apt-get install %s, or leave contenders out with --only", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	for _, c := range list {
		if c.name == ours {
			c.program = mmbox
		}
	}
	return nil
}

// provide builds the contenders that no package has.
func provide(ctx context.Context, list []*contender) error {
	for _, c := range list {
		if c.name != runcNew {
			continue
		}
		path, err := buildRunc(ctx)
		if err != nil {
			return fmt.Errorf("build runc %s: %w", runcVersion, err)
		}
		c.program = path
	}
	return nil
}

// buildRunc returns a statically linked runc, as its project releases it, from the cache or built now.
func buildRunc(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mmbox", "bench", "runc-"+runcVersion)
	path := filepath.Join(dir, "runc")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintf(os.Stderr, "bench: building runc %s, once\n", runcVersion)
	cmd := exec.CommandContext(ctx, "go", "install", "-tags", "seccomp netgo osusergo",
		"-ldflags", "-s -w -linkmode external -extldflags -static", "github.com/opencontainers/runc@"+runcVersion)
	cmd.Dir = temp // outside any module
	cmd.Env = append(os.Environ(), "GOBIN="+temp, "GOFLAGS=", "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install: %w: %s", err, out)
	}
	return path, os.Rename(filepath.Join(temp, "runc"), path)
}

func ociArgs(name string) func(*fixture, slot) []string {
	return func(f *fixture, s slot) []string {
		return []string{"--root", filepath.Join(f.state, name), "run", "--bundle", f.bundle(s), s.id()}
	}
}

func oursArgs(_ *fixture, s slot) []string {
	args := []string{"run", "--id", s.id()}
	if !s.filter {
		args = append(args, "--seccomp", "unconfined")
	}
	return append(args, modelName)
}

// bwrapArgs asks for what the bundle asks for, as far as bwrap has it.
func bwrapArgs(f *fixture, s slot) []string {
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--uid", "1000", "--gid", "1000",
		"--ro-bind", f.root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"}
	if s.filter {
		args = append(args, "--seccomp", "3")
	}
	return append(args, "/true")
}
