package shim

/*
#cgo CFLAGS: -O2 -fno-stack-protector
const char *mmbox_shim_code(void);
unsigned long mmbox_shim_size(void);
unsigned long mmbox_shim_entry(void);
*/
import "C"

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors that Seal's program finds open. Self is its own file, by which it is executed.
const (
	FD       = 3 // Self
	StatusFD = 4 // write end of a pipe: closed by a successful exec, else 4 bytes of errno in the host's byte order
	FilterFD = 5 // the filter's bytes, where Seal was told of one
)

// Self is the path by which a process that inherited the program's file as FD executes it.
const Self = "/proc/self/fd/3"

// Seal returns the arguments that make the program load the filter of FilterFD if there is one, ask to be killed when
// its parent ends, and execute path with args. On failure it writes to StatusFD and exits with 127.
func Seal(path string, args []string, filter bool) []string {
	flags := "sd"
	if filter {
		flags += "f"
	}
	return append([]string{Self, flags, path}, args...)
}

// A Log is where a program's output goes. The caller owns the descriptors, which must survive an exec.
type Log struct {
	Pipe, File uintptr // what the program prints to, read; and the file, positioned at its end
	Path, Old  string  // of the file, and the name it gets when it is full, which an older one loses
	Size, Most int64   // of the file now, and at most
}

// Watch returns the arguments that make the program write what its child pid prints to a log until the child has ended,
// and then, with the child still unreaped, execute path with args, the first of which is the name it runs by.
func Watch(pid int, log Log, path string, args []string) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return append([]string{"mmbox: supervisor", "w", strconv.Itoa(pid), number(int64(log.Pipe)), number(int64(log.File)),
		log.Path, log.Old, number(log.Size), number(log.Most), path}, args...)
}

// File returns the program as a sealed memory file, whose content nobody can change. The caller closes it.
func File() (*os.File, error) {
	fd, err := unix.MemfdCreate("mmbox-shim", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // MFD_EXEC is known from kernel 6.3 on; before, every memory file may be executed
		fd, err = unix.MemfdCreate("mmbox-shim", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("make shim: %w", os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "mmbox-shim")
	if _, err := file.Write(image()); err != nil {
		file.Close()
		return nil, fmt.Errorf("make shim: %w", err)
	}
	// Whoever may not read a program cannot look into its process either: the kernel makes it undumpable, and its
	// descriptors in /proc root's. Otherwise a process in the sandbox could reopen the filter of one that is just being
	// executed, and write another one.
	if err := file.Chmod(0o711); err != nil {
		file.Close()
		return nil, fmt.Errorf("make shim: %w", err)
	}
	if err := freeze(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("make shim: %w", err)
	}
	return file, nil
}

// FilterFile returns a filter as a sealed memory file, which only root can open, to be read from its beginning. The
// caller closes it.
func FilterFile(filter []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("mmbox-filter", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("pass filter: %w", os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "mmbox-filter")
	_, err = file.Write(filter)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err := errors.Join(err, file.Chmod(0o400), freeze(file)); err != nil {
		file.Close()
		return nil, fmt.Errorf("pass filter: %w", err)
	}
	return file, nil
}

// freeze seals a memory file: nobody can change it any more.
func freeze(file *os.File) error {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals)
	return os.NewSyscallError("fcntl", err)
}

// image is the program: an ELF header, one loadable segment that holds it and the code, and a note that the stack is
// not executable. Source: System V Application Binary Interface, chapters 4 and 5.
func image() []byte {
	code := C.GoBytes(unsafe.Pointer(C.mmbox_shim_code()), C.int(C.mmbox_shim_size()))
	const base, headers = 0x400000, 64 + 2*56
	size := uint64(headers + len(code))
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machine),
		Version: uint32(elf.EV_CURRENT),
		Entry:   base + headers + uint64(C.mmbox_shim_entry()),
		Phoff:   64, Ehsize: 64, Phentsize: 56, Phnum: 2,
	}
	segments := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000},
		{Type: uint32(elf.PT_GNU_STACK), Flags: uint32(elf.PF_R | elf.PF_W), Align: 16},
	}
	var b bytes.Buffer
	for _, part := range []any{header, segments} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err) // fixed-size values into memory
		}
	}
	b.Write(code)
	return b.Bytes()
}
