package closure

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"strings"
)

// A File is what the dynamic loader wants to know of a program or library.
type File struct {
	class   elf.Class
	machine elf.Machine
	typ     elf.Type
	interp  string // PT_INTERP
	soname  string
	needed  []string
	rpath   []string // as they stand, $ORIGIN included
	runpath []string
}

// ErrNotELF is the answer to a file that does not start as an ELF file does.
var ErrNotELF = errors.New("not an ELF file")

// What is read of one file is bounded: the largest real dynamic sections and string tables are far below.
const (
	maxSegments = 1 << 10
	maxDynamic  = 1 << 20
	maxStrings  = 64 << 20
	maxName     = 4 << 10
)

// readELF reads headers only, by the program headers as the kernel and the loader do. Sections, which may be stripped
// or lie, and debug/elf's reader, which is not made for hostile files, stay out of it.
func readELF(r io.ReaderAt) (*File, error) {
	var ident [elf.EI_NIDENT]byte
	if _, err := r.ReadAt(ident[:], 0); err != nil || string(ident[:4]) != elf.ELFMAG {
		if err != nil && err != io.EOF {
			return nil, err
		}
		return nil, ErrNotELF
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(ident[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	e := &File{class: elf.Class(ident[elf.EI_CLASS])}
	segments, err := e.segments(r, order)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		switch s.Type {
		case elf.PT_INTERP:
			b, err := slice(r, s.Off, min(s.Filesz, maxName))
			if err != nil {
				return nil, fmt.Errorf("ELF interpreter: %w", err)
			}
			e.interp, _, _ = strings.Cut(string(b), "\x00")
		case elf.PT_DYNAMIC:
			if err := e.dynamic(r, order, s, segments); err != nil {
				return nil, fmt.Errorf("ELF dynamic section: %w", err)
			}
		}
	}
	return e, nil
}

// segments reads the file header and the program headers, widened to 64 bits.
func (e *File) segments(r io.ReaderAt, order binary.ByteOrder) ([]elf.ProgHeader, error) {
	header := io.NewSectionReader(r, 0, 64)
	var off uint64
	var size, num uint16
	switch e.class {
	case elf.ELFCLASS64:
		var h elf.Header64
		if err := binary.Read(header, order, &h); err != nil {
			return nil, fmt.Errorf("ELF header: %w", err)
		}
		e.machine, e.typ, off, size, num = elf.Machine(h.Machine), elf.Type(h.Type), h.Phoff, h.Phentsize, h.Phnum
	case elf.ELFCLASS32:
		var h elf.Header32
		if err := binary.Read(header, order, &h); err != nil {
			return nil, fmt.Errorf("ELF header: %w", err)
		}
		e.machine, e.typ, off, size, num = elf.Machine(h.Machine), elf.Type(h.Type), uint64(h.Phoff), h.Phentsize, h.Phnum
	default:
		return nil, fmt.Errorf("ELF header: class %d is neither 32 nor 64 bits", e.class)
	}
	want := uint16(binary.Size(elf.Prog64{}))
	if e.class == elf.ELFCLASS32 {
		want = uint16(binary.Size(elf.Prog32{}))
	}
	if num > maxSegments || num > 0 && size != want {
		return nil, fmt.Errorf("ELF header: %d program headers of %d bytes", num, size)
	}
	table, err := slice(r, off, uint64(num)*uint64(size))
	if err != nil {
		return nil, fmt.Errorf("ELF program headers: %w", err)
	}
	out := make([]elf.ProgHeader, num)
	for i := range out {
		b := bytes.NewReader(table[i*int(want):])
		if e.class == elf.ELFCLASS64 {
			var p elf.Prog64
			err = binary.Read(b, order, &p)
			out[i] = elf.ProgHeader{Type: elf.ProgType(p.Type), Off: p.Off, Vaddr: p.Vaddr, Filesz: p.Filesz}
		} else {
			var p elf.Prog32
			err = binary.Read(b, order, &p)
			out[i] = elf.ProgHeader{Type: elf.ProgType(p.Type), Off: uint64(p.Off), Vaddr: uint64(p.Vaddr), Filesz: uint64(p.Filesz)}
		}
		if err != nil {
			return nil, fmt.Errorf("ELF program headers: %w", err)
		}
	}
	return out, nil
}

// dynamic reads the dynamic section and the names it points to.
func (e *File) dynamic(r io.ReaderAt, order binary.ByteOrder, s elf.ProgHeader, segments []elf.ProgHeader) error {
	if s.Filesz > maxDynamic {
		return fmt.Errorf("%d bytes are too many", s.Filesz)
	}
	b, err := slice(r, s.Off, s.Filesz)
	if err != nil {
		return err
	}
	width := 8
	if e.class == elf.ELFCLASS32 {
		width = 4
	}
	word := func(b []byte) uint64 {
		if width == 4 {
			return uint64(order.Uint32(b))
		}
		return order.Uint64(b)
	}
	values := map[elf.DynTag][]uint64{}
	for ; len(b) >= 2*width; b = b[2*width:] {
		tag := elf.DynTag(int64(word(b)))
		if tag == elf.DT_NULL {
			break
		}
		switch tag {
		case elf.DT_STRTAB, elf.DT_STRSZ, elf.DT_NEEDED, elf.DT_SONAME, elf.DT_RPATH, elf.DT_RUNPATH:
			values[tag] = append(values[tag], word(b[width:]))
		}
	}
	if len(values) == 0 {
		return nil
	}
	table, err := stringTable(r, values, segments)
	if err != nil {
		return err
	}
	for tag, offsets := range values {
		for _, off := range offsets {
			if err := e.name(tag, table, off); err != nil {
				return err
			}
		}
	}
	return nil
}

func stringTable(r io.ReaderAt, values map[elf.DynTag][]uint64, segments []elf.ProgHeader) ([]byte, error) {
	at, size := values[elf.DT_STRTAB], values[elf.DT_STRSZ]
	delete(values, elf.DT_STRTAB)
	delete(values, elf.DT_STRSZ)
	if len(values) == 0 {
		return nil, nil
	}
	if len(at) != 1 || len(size) != 1 || size[0] > maxStrings {
		return nil, errors.New("no string table of a sensible size")
	}
	for _, s := range segments {
		if s.Type == elf.PT_LOAD && at[0] >= s.Vaddr && at[0]-s.Vaddr < s.Filesz {
			return slice(r, s.Off+at[0]-s.Vaddr, min(size[0], s.Filesz-(at[0]-s.Vaddr)))
		}
	}
	return nil, errors.New("string table is outside of the file")
}

func (e *File) name(tag elf.DynTag, table []byte, off uint64) error {
	if off >= uint64(len(table)) {
		return fmt.Errorf("%v points outside of the string table", tag)
	}
	b, _, ok := bytes.Cut(table[off:min(uint64(len(table)), off+maxName)], []byte{0})
	if !ok {
		return fmt.Errorf("%v has no end", tag)
	}
	switch s := string(b); tag {
	case elf.DT_NEEDED:
		e.needed = append(e.needed, s)
	case elf.DT_SONAME:
		e.soname = s
	case elf.DT_RPATH:
		e.rpath = append(e.rpath, strings.Split(s, ":")...)
	case elf.DT_RUNPATH:
		e.runpath = append(e.runpath, strings.Split(s, ":")...)
	}
	return nil
}

// slice reads n bytes, in steps, so that a length that lies costs no more memory than the file has bytes.
func slice(r io.ReaderAt, off, n uint64) ([]byte, error) {
	if off > 1<<62 || n > 1<<62 {
		return nil, io.ErrUnexpectedEOF
	}
	b, err := io.ReadAll(io.NewSectionReader(r, int64(off), int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// An arch is what a machine's programs are made for.
type arch struct {
	class   elf.Class
	machine elf.Machine
	triplet string // Debian's multi-arch directory
}

// arches are the machines that this program is built for, by Go's name.
var arches = map[string]arch{
	"amd64":   {elf.ELFCLASS64, elf.EM_X86_64, "x86_64-linux-gnu"},
	"arm64":   {elf.ELFCLASS64, elf.EM_AARCH64, "aarch64-linux-gnu"},
	"riscv64": {elf.ELFCLASS64, elf.EM_RISCV, "riscv64-linux-gnu"},
	"ppc64le": {elf.ELFCLASS64, elf.EM_PPC64, "powerpc64le-linux-gnu"},
	"s390x":   {elf.ELFCLASS64, elf.EM_S390, "s390x-linux-gnu"},
	"386":     {elf.ELFCLASS32, elf.EM_386, "i386-linux-gnu"},
	"arm":     {elf.ELFCLASS32, elf.EM_ARM, "arm-linux-gnueabihf"},
}

func hostArch() arch { return arches[goruntime.GOARCH] }

// runs says nothing of an ELF file that this machine runs, and else what it is made for.
func (a arch) runs(e *File) error {
	if e.machine != a.machine || e.class != a.class {
		return fmt.Errorf("made for %s (%s), this machine is %s (%s): bring one that is built for it", machineName(e.machine), bits(e.class), machineName(a.machine), bits(a.class))
	}
	return nil
}

func machineName(m elf.Machine) string { return strings.ToLower(strings.TrimPrefix(m.String(), "EM_")) }

func bits(c elf.Class) string { return strings.TrimPrefix(c.String(), "ELFCLASS") + " bits" }
