package seccomp

import (
	"encoding/binary"
	"fmt"

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

// check tells whether the kernel could take the filter by its length.
func (f Filter) check() error {
	n := len(f) / instructionSize
	if len(f)%instructionSize != 0 || n == 0 || n > maxInstructions {
		return fmt.Errorf("filter of %d bytes: want whole instructions of %d bytes, 1 to %d of them",
			len(f), instructionSize, maxInstructions)
	}
	return nil
}
