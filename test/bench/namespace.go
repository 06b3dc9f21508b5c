package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideKey marks the process that enter starts.
const insideKey = "MMBOX_BENCH_INSIDE"

func inside() bool { return os.Getenv(insideKey) != "" }

// enter runs this program once more in a mount namespace of its own, from which no mount reaches the host, and returns
// its exit code. Signals are passed on to that process, which is told to end when this one does.
func enter() int {
	runtime.LockOSThread() // the signal below is sent when this thread ends
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideKey+"=1")
	// Unshareflags, other than Cloneflags, makes every mount private first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGTERM}
	err := cmd.Start()
	if err == nil {
		go func() {
			for s := range signals {
				_ = cmd.Process.Signal(s) // it fails when that process has ended, as is wished
			}
		}()
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "bench: enter a mount namespace:", err)
	return 1
}

const unifiedDir = "/sys/fs/cgroup/unified"

// hideUnified unmounts the version 2 hierarchy of a hybrid host in this mount namespace and tells whether there was
// one. It refuses to where the unmount could reach the host.
func hideUnified() (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	mounted, shared := false, false
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) > 6 && fields[4] == unifiedDir {
			mounted = true
		}
		shared = shared || slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "shared:") })
	}
	if shared {
		return false, errors.New("mounts of this process are shared with others: nothing can be unmounted here safely")
	}
	if !mounted {
		return false, nil
	}
	if err := unix.Unmount(unifiedDir, 0); err != nil {
		return false, fmt.Errorf("unmount %s in a namespace of its own: %w", unifiedDir, err)
	}
	// crun makes directories there all the same. They go into a file system that ends with this namespace, and not into
	// the one below, which is the host's.
	if err := unix.Mount("tmpfs", unifiedDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=1m"); err != nil {
		return false, fmt.Errorf("cover %s: %w", unifiedDir, err)
	}
	return true, nil
}
