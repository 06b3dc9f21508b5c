package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mmbox/test/vm"
)

// A guest is a package whose tests run in a virtual machine of their own.
type guest struct {
	path    string
	only    string // tests whose names match, if not empty
	kernel  []string
	env     []string
	timeout time.Duration
}

var guests = []guest{
	{path: "./cgroups", timeout: 5 * time.Minute},
	{path: "./seccomp", timeout: 5 * time.Minute},
	{path: "./runtime", timeout: 8 * time.Minute},
	{path: "./test/e2e", timeout: 20 * time.Minute},
	{path: "./test/e2e", only: "^TestLacking", kernel: []string{"cgroup_disable=memory"}, env: []string{"MMBOX_LACKS=memory"}, timeout: 5 * time.Minute},
}

// Where a guest sees what it needs of this host.
const (
	guestSource = "/mnt/mmbox"
	guestDebs   = "/mnt/debs"
	guestBin    = "/usr/local/bin/"
)

// debs are the Debian packages that the tests on this host have downloaded: a guest has no network.
const debs = "/var/cache/mmbox/debs"

// machine runs the tests of the guests, and before them the machine's own.
func machine(ctx context.Context, verbose bool) (tally, error) {
	count, err := goTest(ctx, verbose, []string{"MMBOX_TEST_VM=1"}, "-timeout", "15m", "-run", "^TestGuest", "./test/vm")
	if err != nil || count.failed > 0 {
		return count, err // in a machine that does not work, no other test means anything
	}
	work, err := os.MkdirTemp("", "mmbox-vm-")
	if err != nil {
		return count, err
	}
	defer os.RemoveAll(work)
	var errs []error
	for _, g := range guests {
		files, err := g.build(ctx, work)
		if err != nil {
			return count, err
		}
		one, err := g.run(ctx, verbose, files)
		count.add(one)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.path, err))
		}
	}
	return count, errors.Join(errs...)
}

// build compiles what the guest runs: its system has no compiler that would be fast enough.
func (g guest) build(ctx context.Context, work string) ([]vm.File, error) {
	bin, err := binary()
	if err != nil {
		return nil, err
	}
	files := []vm.File{{Host: bin, Guest: guestBin + "mmbox"}}
	for name, args := range map[string][]string{
		"mmbox-test": {"test", "-c", "-tags", tags, g.path},
		"probe":      {"build", "-ldflags", "-s -w", "./test/e2e/probe"},
	} {
		out := filepath.Join(work, name)
		cmd := exec.CommandContext(ctx, "go", append([]string{args[0], "-o", out}, args[1:]...)...)
		if name == "probe" {
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s for %s: %w: %s", name, g.path, err, text)
		}
		files = append(files, vm.File{Host: out, Guest: guestBin + name})
	}
	return files, nil
}

// run boots the guest, runs its tests and counts.
func (g guest) run(ctx context.Context, verbose bool, files []vm.File) (tally, error) {
	source, err := os.Getwd()
	if err != nil {
		return tally{}, err
	}
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return tally{}, err
	}
	m := vm.Machine{
		Timeout: g.timeout + time.Minute,
		Share:   []vm.Share{{Host: source, Guest: guestSource}, {Host: debs, Guest: guestDebs, Writable: true}},
		Files:   files,
		Kernel:  g.kernel,
	}
	cmd := vm.Command{
		Args: []string{guestBin + "mmbox-test", "-test.v=test2json", "-test.timeout", g.timeout.String()},
		Env:  append([]string{"MMBOX_BIN=" + guestBin + "mmbox", "MMBOX_PROBE=" + guestBin + "probe", "MMBOX_DEBS_CACHE=" + guestDebs}, g.env...),
		Dir:  filepath.Join(guestSource, g.path),
	}
	if g.only != "" {
		cmd.Args = append(cmd.Args, "-test.run", g.only)
	}
	raw, events := io.Pipe()
	booted := make(chan error, 1)
	go func() { booted <- boot(ctx, m, cmd, events) }()
	count, err := convert(ctx, verbose, strings.TrimSpace("mmbox/"+filepath.Clean(g.path)+" "+strings.Join(g.kernel, " "))+" in the vm", raw)
	failed := errors.Join(raw.Close(), <-booted)
	if count.failed > 0 && errors.Is(failed, errExit) {
		failed = nil // counted
	}
	return count, errors.Join(err, failed)
}

var errExit = errors.New("the tests failed")

// boot runs a command in a machine, its output into to, which it closes.
func boot(ctx context.Context, m vm.Machine, cmd vm.Command, to *io.PipeWriter) error {
	exit, err := m.Run(ctx, cmd, to, to)
	if err == nil && exit != 0 {
		err = fmt.Errorf("%w: exit code %d", errExit, exit)
	}
	return errors.Join(err, to.Close())
}

// convert counts the tests in the output of a compiled test.
func convert(ctx context.Context, verbose bool, name string, from io.Reader) (tally, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-p", name)
	cmd.Stdin, cmd.Stderr = from, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := cmd.Start(); err != nil {
		return tally{}, err
	}
	count, err := read(out, os.Stdout, verbose)
	return count, errors.Join(err, cmd.Wait())
}
