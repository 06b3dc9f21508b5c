package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const tags = "seccomp netgo osusergo runc_nocriu urfave_cli_no_docs"

// staticcheck is run through the module proxy, at a version of its own, so that it is no dependency of the module.
const staticcheck = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

// A tier is a kind of tests.
type tier struct {
	name, what string
	run        func(context.Context, bool) (tally, error)
}

var tiers = []tier{
	{"lint", "gofmt, go vet, staticcheck", lint},
	{"unit", "packages on their own, with the race detector and the fuzz targets' seeds", unit},
	{"runtime", "sandboxes from Go, and the example models outside one, as root on this host", sandboxes},
	{"scripts", "the command line's specification", scripts},
	{"e2e", "the command as its users use it, as root on this host", e2e},
	{"vm", "the same in a virtual machine with Debian's kernel and cgroup v2", machine},
}

// plain are the packages that run without the race detector, since its memory is larger than a sandbox's limit, or than
// what a test measures, with those below them that do too.
var plain = []struct {
	path  string
	below bool
}{
	{"mmbox/runtime", false}, {"mmbox/models/examples", false}, {"mmbox/cmd/mmbox", false},
	{"mmbox/test/e2e", true}, {"mmbox/test/bench", true}, {"mmbox/test/vm", true},
}

func lint(ctx context.Context, _ bool) (tally, error) {
	var count tally
	for _, check := range []struct {
		args   []string
		silent bool // any output is a failure
	}{
		{[]string{"gofmt", "-l", "cmd", "runtime", "isolation", "rootfs", "cgroups", "seccomp", "models", "metrics", "test"}, true},
		{[]string{"go", "vet", "-tags", tags, "./..."}, false},
		{[]string{"go", "run", staticcheck, "-tags", tags, "./..."}, false},
	} {
		out, err := exec.CommandContext(ctx, check.args[0], check.args[1:]...).CombinedOutput()
		if err == nil && !(check.silent && len(bytes.TrimSpace(out)) > 0) {
			count.passed++
			continue
		}
		count.failed++
		fmt.Printf("%s\n%s", strings.Join(check.args, " "), out)
	}
	return count, nil
}

func unit(ctx context.Context, verbose bool) (tally, error) {
	packages, err := packages(ctx)
	if err != nil {
		return tally{}, err
	}
	return goTest(ctx, verbose, nil, append([]string{"-race", "-timeout", "10m"}, packages...)...)
}

// packages lists the packages that are not plain.
func packages(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-tags", tags, "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var list []string
	for _, name := range strings.Fields(string(out)) {
		if !isPlain(name) {
			list = append(list, name)
		}
	}
	return list, nil
}

func isPlain(name string) bool {
	for _, p := range plain {
		if name == p.path || p.below && strings.HasPrefix(name, p.path+"/") {
			return true
		}
	}
	return false
}

func sandboxes(ctx context.Context, verbose bool) (tally, error) {
	return goTest(ctx, verbose, nil, "-timeout", "10m", "./runtime", "./models/examples", "./test/vm/...", "./test/bench/...")
}

func scripts(ctx context.Context, verbose bool) (tally, error) {
	return goTest(ctx, verbose, nil, "-timeout", "15m", "./cmd/mmbox")
}

func e2e(ctx context.Context, verbose bool) (tally, error) {
	bin, err := binary()
	if err != nil {
		return tally{}, err
	}
	return goTest(ctx, verbose, []string{"MMBOX_BIN=" + bin}, "-timeout", "20m", "./test/e2e")
}

// binary is the command that make builds before it runs this one.
func binary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	bin := dir + "/bin/mmbox"
	if _, err := os.Stat(bin); err != nil {
		return "", fmt.Errorf("%w: build it with make build", err)
	}
	return bin, nil
}
