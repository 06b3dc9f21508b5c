// Package process tells of a process what its numbers do not: when it began, which tells a reused id, and what it does
// about a signal. It reads /proc of the caller's PID namespace.
package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Fatal reports whether a signal ends a program that does nothing about it.
func Fatal(s unix.Signal) bool {
	switch s {
	case unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGKILL:
		return false
	}
	return true
}

// Catches reports whether a process has a handler for a signal, ignores it on purpose, or keeps it blocked, as programs
// do that wait for signals. A shell blocks signals for moments only, around a fork: that does not count, since what is
// delivered then is dropped later. It says true where /proc does not tell, since then the signal itself is the better
// choice.
func Catches(pid int, signal unix.Signal) bool {
	for range looks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || has(status, "SigCgt", signal) || has(status, "SigIgn", signal) {
			return true
		}
		if !has(status, "SigBlk", signal) {
			return false
		}
		time.Sleep(lookEvery)
	}
	return true
}

// How often, and how long apart, Catches looks at a process that blocks a signal.
const (
	looks     = 20
	lookEvery = 5 * time.Millisecond
)

// has reports whether a set of signals in a process's status holds one. An unreadable set holds all.
// Source: proc_pid_status(5).
func has(status []byte, set string, signal unix.Signal) bool {
	_, rest, found := bytes.Cut(status, []byte("\n"+set+":\t"))
	mask, _, _ := bytes.Cut(rest, []byte("\n"))
	bits, err := strconv.ParseUint(string(mask), 16, 64)
	return !found || err != nil || bits>>(uint(signal)-1)&1 == 1
}

// Began returns when a process began, in clock ticks since boot. Source: proc_pid_stat(5), field 22.
func Began(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: too short", pid)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
