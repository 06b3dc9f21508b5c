// Package process tells of a process what its numbers do not: when it began, which tells a reused id, and what it does
// about a signal. It reads /proc of the caller's PID namespace.
package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

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

// Catches reports whether a process has a handler for a signal, blocks it or ignores it on purpose. It says true where
// /proc does not tell, since then the signal itself is the better choice.
func Catches(pid int, signal unix.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return true
	}
	for _, field := range []string{"SigCgt:\t", "SigBlk:\t", "SigIgn:\t"} {
		_, rest, found := bytes.Cut(status, []byte("\n"+field))
		mask, _, _ := bytes.Cut(rest, []byte("\n"))
		set, err := strconv.ParseUint(string(mask), 16, 64)
		if !found || err != nil || set>>(uint(signal)-1)&1 == 1 {
			return true
		}
	}
	return false
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
