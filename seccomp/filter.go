package seccomp

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Filter is a compiled profile: the kernel's struct sock_filter, one after another, in this machine's byte order. It
// holds for the architecture it was compiled on.
type Filter []byte

const (
	instructionSize = 8    // of struct sock_filter, in bytes
	maxInstructions = 4096 // BPF_MAXINSNS: the kernel refuses longer filters
)

// Instructions returns the filter's program.
func (f Filter) Instructions() []unix.SockFilter {
	program := make([]unix.SockFilter, len(f)/instructionSize)
	for i := range program {
		raw := f[i*instructionSize:]
		program[i] = unix.SockFilter{
			Code: binary.NativeEndian.Uint16(raw),
			Jt:   raw[2],
			Jf:   raw[3],
			K:    binary.NativeEndian.Uint32(raw[4:]),
		}
	}
	return program
}

// Install sets no_new_privs and puts every thread of the calling process, and all it will start, under the filter.
// There is no way back.
func (f Filter) Install() error {
	program := f.Instructions()
	if err := f.check(); err != nil {
		return fmt.Errorf("install seccomp filter: %w", err)
	}
	runtime.LockOSThread() // no_new_privs is of the thread; the filter's synchronisation spreads it to the others
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("install seccomp filter: set no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("install seccomp filter: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("install seccomp filter: thread %d has a filter of its own", thread)
	}
	return nil
}

// check tells whether the kernel could take the filter by its length.
func (f Filter) check() error {
	n := len(f) / instructionSize
	if len(f)%instructionSize != 0 || n == 0 || n > maxInstructions {
		return fmt.Errorf("filter of %d bytes: want whole instructions of %d bytes, 1 to %d of them",
			len(f), instructionSize, maxInstructions)
	}
	return nil
}
