package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mmbox/test/vm"
)

// guestSource is where the guest sees this repository.
const guestSource = "/mnt/mmbox"

// guests are the packages whose tests run in the virtual machine, each in one of its own.
var guests = []struct {
	path    string
	timeout time.Duration
}{
	{"./cgroups", 5 * time.Minute},
	{"./seccomp", 5 * time.Minute},
	{"./runtime", 8 * time.Minute},
	{"./test/e2e", 20 * time.Minute},
}

// machine runs the tests of the guests, compiled here, in virtual machines. The machine's own tests are part of the tier.
func machine(ctx context.Context, verbose bool) (tally, error) {
	bin, err := binary()
	if err != nil {
		return tally{}, err
	}
	work, err := os.MkdirTemp("", "mmbox-vm-")
	if err != nil {
		return tally{}, err
	}
	defer os.RemoveAll(work)
	var count tally
	var errs []error
	for _, g := range guests {
		test := filepath.Join(work, filepath.Base(g.path)+".test")
		if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-tags", tags, "-o", test, g.path).CombinedOutput(); err != nil {
			return count, fmt.Errorf("build the tests of %s: %w: %s", g.path, err, out)
		}
		one, err := guest(ctx, verbose, bin, test, g.path, g.timeout)
		count.add(one)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.path, err))
		}
	}
	return count, errors.Join(errs...)
}

// guest runs one compiled test in a virtual machine and counts.
func guest(ctx context.Context, verbose bool, bin, test, path string, timeout time.Duration) (tally, error) {
	source, err := os.Getwd()
	if err != nil {
		return tally{}, err
	}
	m := vm.Machine{
		Timeout: timeout + time.Minute,
		Share:   []vm.Share{{Host: source, Guest: guestSource}},
		Files:   []vm.File{{Host: bin, Guest: "/usr/local/bin/mmbox"}, {Host: test, Guest: "/usr/local/bin/mmbox-test"}},
	}
	cmd := vm.Command{
		Args: []string{"/usr/local/bin/mmbox-test", "-test.v=test2json", "-test.timeout", timeout.String()},
		Env:  []string{"MMBOX_BIN=/usr/local/bin/mmbox"},
		Dir:  filepath.Join(guestSource, path),
	}
	convert := exec.CommandContext(ctx, "go", "tool", "test2json", "-p", "mmbox/"+filepath.Clean(path)+" (vm)")
	convert.Stderr = os.Stderr
	in, err := convert.StdinPipe()
	if err != nil {
		return tally{}, err
	}
	out, err := convert.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := convert.Start(); err != nil {
		return tally{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- boot(ctx, m, cmd, in) }()
	count, err := read(out, os.Stdout, verbose)
	failed := <-ended
	if count.failed > 0 && errors.Is(failed, errExit) {
		failed = nil // counted
	}
	return count, errors.Join(err, failed, convert.Wait())
}

var errExit = errors.New("the tests failed")

// boot runs a command in a machine, its output into to, which it closes.
func boot(ctx context.Context, m vm.Machine, cmd vm.Command, to io.WriteCloser) error {
	exit, err := m.Run(ctx, cmd, to, to)
	if err == nil && exit != 0 {
		err = fmt.Errorf("%w: exit code %d", errExit, exit)
	}
	return errors.Join(err, to.Close())
}
