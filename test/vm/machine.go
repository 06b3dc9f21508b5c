// Package vm boots Debian's stock kernel under QEMU and runs one command inside, as root, on cgroup v2.
//
// The guest sees the host's root file system read-only, with a tmpfs over it: what it writes is gone afterwards,
// except below a writable [Share]. /run, /tmp, /var/tmp, /var/lib/mmbox and /var/cache/mmbox start empty. There is
// no network but loopback. PID 1 is a small shell, or the host's systemd when asked for.
//
// File capabilities do not pass the shares, 9p having no such attributes; owners, modes and setuid bits do, and
// inside the guest capabilities can be set.
//
// Limits: amd64 and Debian only; code runs some 10 to 20 times slower than outside, so a time measured inside says
// nothing, though a ratio of two may; the host's root must not change under a running guest. Not for untrusted
// commands: they read every file of the host.
package vm

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What callers decide on. Each comes wrapped in a [*GuestError].
var (
	ErrBootTimeout = errors.New("the guest did not start the command in time")
	ErrTimeout     = errors.New("the command did not end in time")
	ErrPanic       = errors.New("the guest's kernel died")
	ErrBoot        = errors.New("the guest could not be prepared")
	ErrVanished    = errors.New("the machine ended before the command")
)

// GuestError says how a machine failed and what its kernel wrote last.
type GuestError struct {
	Err     error
	Detail  string // one line, may be empty
	Console string // last lines of the kernel's console and of QEMU's messages
}

func (e *GuestError) Error() string {
	text := "run in virtual machine: " + e.Err.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Console != "" {
		text += "\nconsole, last lines:\n  " + strings.ReplaceAll(e.Console, "\n", "\n  ")
	}
	return text
}

func (e *GuestError) Unwrap() error { return e.Err }

// Machine describes a virtual machine. The zero value is usable.
type Machine struct {
	Memory      int64         // bytes; 0 is 4 GiB, taken from the host as the guest touches it
	CPUs        int           // 0 is as many as the host has, at most 4
	Timeout     time.Duration // of the command, from its start; 0 is 20 minutes
	BootTimeout time.Duration // until the command starts; 0 is 3 minutes
	Accel       string        // tcg or kvm; empty is MMBOX_VM_ACCEL or else tcg
	Cache       string        // of kernels; empty is MMBOX_VM_CACHE or else DefaultCache
	Systemd     bool          // PID 1 is systemd and the command a service with delegated cgroups
	Share       []Share
	Files       []File
	Kernel      []string  // more parameters of the kernel, such as cgroup_disable=memory
	Console     io.Writer // gets a copy of the kernel's console; may be nil
}

// Share shows a directory of the host at a path of the guest. A write goes straight to the host.
type Share struct {
	Host, Guest string
	Writable    bool
}

// File copies a file of the host into the guest's memory before it starts, permission bits included: for what lies
// where the guest has a tmpfs, and for programs, which start faster from memory than over a share.
type File struct{ Host, Guest string }

// Command is a program for the guest.
type Command struct {
	Args []string // Args[0] is looked up in the guest's PATH
	Env  []string // NAME=VALUE, added to PATH, HOME=/root, TERM=dumb and MMBOX_VM=1
	Dir  string   // empty is /
}

// Run boots the machine, runs the command and returns its exit code, 128+n when a signal ended it. What the command
// writes arrives on stdout and stderr while it runs; the kernel's console never does. The two may be the same writer. Standard input is /dev/null.
//
// An error means that there is no exit code: a [*GuestError], ctx's error, or what kept the machine from starting.
// Cancelling ctx kills the machine. No file is left behind, whatever ends Run, and no process.
func (m Machine) Run(ctx context.Context, cmd Command, stdout, stderr io.Writer) (int, error) {
	m = m.withDefaults()
	if err := errors.Join(m.check(), cmd.check()); err != nil {
		return 0, err
	}
	kernel, err := OpenKernel(ctx, m.Cache)
	if err != nil {
		return 0, err
	}
	initramfs, err := m.initramfs(kernel, cmd)
	if err != nil {
		return 0, fmt.Errorf("write initramfs: %w", err)
	}
	defer initramfs.Close()
	if sameWriter(stdout, stderr) {
		both := &lockedWriter{w: stdout}
		stdout, stderr = both, both
	}
	g := &guest{console: &console{copy: m.Console}, events: make(chan event)}
	if err := g.start(m.qemuArgs(kernel), initramfs, stdout, stderr); err != nil {
		return 0, err
	}
	return g.follow(ctx, m)
}

func (m Machine) withDefaults() Machine {
	m.Memory = cmp.Or(m.Memory, 4<<30)
	m.CPUs = cmp.Or(m.CPUs, min(runtime.NumCPU(), 4))
	m.Timeout = cmp.Or(m.Timeout, 20*time.Minute)
	m.BootTimeout = cmp.Or(m.BootTimeout, 3*time.Minute)
	m.Accel = cmp.Or(m.Accel, os.Getenv("MMBOX_VM_ACCEL"), "tcg")
	m.Cache = cmp.Or(m.Cache, os.Getenv("MMBOX_VM_CACHE"), DefaultCache)
	return m
}

// check refuses a machine that could not start, and says what is missing on the host.
func (m Machine) check() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("prepare virtual machine: built for %s, works on amd64 only", runtime.GOARCH)
	}
	if accelerators[m.Accel] == nil {
		return fmt.Errorf("prepare virtual machine: accelerator %q: write tcg or kvm", m.Accel)
	}
	if m.Memory < 256<<20 {
		return fmt.Errorf("prepare virtual machine: memory of %d bytes is less than 256 MiB", m.Memory)
	}
	if m.CPUs < 0 || m.Timeout < 0 || m.BootTimeout < 0 {
		return errors.New("prepare virtual machine: CPUs and timeouts cannot be negative")
	}
	for _, s := range m.Share {
		if info, err := os.Stat(s.Host); err != nil {
			return fmt.Errorf("share with virtual machine: %w", err)
		} else if !filepath.IsAbs(s.Host) {
			return fmt.Errorf("share %q with virtual machine: write an absolute path", s.Host)
		} else if !info.IsDir() {
			return fmt.Errorf("share %q with virtual machine: not a directory", s.Host)
		}
		if err := guestPath(s.Guest); err != nil {
			return err
		}
	}
	for _, f := range m.Files {
		if err := guestPath(f.Guest); err != nil {
			return err
		}
	}
	tools := [][]tool{bootTools, guestTools}
	if m.Systemd {
		tools = append(tools, systemdTools)
	}
	return requireTools(tools...)
}

func guestPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || strings.ContainsAny(p, "\x00\n") {
		return fmt.Errorf("path %q in the virtual machine: write an absolute, clean path below /", p)
	}
	return nil
}

// initramfs returns the archive as an anonymous file, so that none can be left behind. The caller closes it.
func (m Machine) initramfs(kernel Kernel, cmd Command) (*os.File, error) {
	fd, err := unix.MemfdCreate("mmbox-vm-initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create anonymous file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(writeInitramfs(w, m, kernel, cmd), w.Flush()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sameWriter compares as os/exec does: writers of a type that cannot be compared are different ones.
func sameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }()
	return a == b
}

// lockedWriter lets two streams share one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
