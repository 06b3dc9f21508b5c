package closure

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeELF is what makeELF writes: headers and a dynamic section, no code.
type fakeELF struct {
	machine elf.Machine // zero: this machine's
	class   elf.Class   // zero: this machine's
	interp  string
	soname  string
	needed  []string
	rpath   string
	runpath string
}

func makeELF(f fakeELF) []byte {
	host := hostArch()
	if f.machine == 0 {
		f.machine = host.machine
	}
	if f.class == 0 {
		f.class = host.class
	}
	strs := []byte{0}
	str := func(s string) uint64 {
		off := uint64(len(strs))
		strs = append(append(strs, s...), 0)
		return off
	}
	var dyn []uint64
	for _, n := range f.needed {
		dyn = append(dyn, uint64(elf.DT_NEEDED), str(n))
	}
	for tag, s := range map[elf.DynTag]string{elf.DT_SONAME: f.soname, elf.DT_RPATH: f.rpath, elf.DT_RUNPATH: f.runpath} {
		if s != "" {
			dyn = append(dyn, uint64(tag), str(s))
		}
	}
	const base, headers = 0x400000, 64 + 3*56
	interp := append([]byte(f.interp), 0)
	stringsAt := uint64(headers + len(interp))
	dynAt := stringsAt + uint64(len(strs))
	dyn = append(dyn, uint64(elf.DT_STRTAB), base+stringsAt, uint64(elf.DT_STRSZ), uint64(len(strs)), uint64(elf.DT_NULL), 0)
	total := dynAt + uint64(len(dyn)*8)

	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(f.machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 3}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(f.class), byte(elf.ELFDATA2LSB), 1
	progs := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Off: 0, Vaddr: base, Filesz: total, Memsz: total},
		{Type: uint32(elf.PT_NULL)},
		{Type: uint32(elf.PT_DYNAMIC), Off: dynAt, Vaddr: base + dynAt, Filesz: uint64(len(dyn) * 8)},
	}
	if f.interp != "" {
		progs[1] = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: headers, Filesz: uint64(len(interp))}
	}
	for _, v := range []any{h, progs, interp, strs, dyn} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func TestReadELF(t *testing.T) {
	want := fakeELF{interp: "/lib/ld.so", soname: "libx.so.1", needed: []string{"liba.so", "libb.so"}, runpath: "$ORIGIN/../lib:/opt"}
	e, err := readELF(bytes.NewReader(makeELF(want)))
	if err != nil {
		t.Fatal(err)
	}
	if e.interp != want.interp || e.soname != want.soname || !slices.Equal(e.needed, want.needed) ||
		!slices.Equal(e.runpath, []string{"$ORIGIN/../lib", "/opt"}) || e.rpath != nil {
		t.Errorf("read %+v", e)
	}
}

// TestReadELFAsGo compares with debug/elf on this host's own files.
func TestReadELFAsGo(t *testing.T) {
	var n int
	for _, pattern := range []string{"/usr/bin/*", "/usr/lib/*-linux-gnu/*.so*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files[:min(len(files), 300)] {
			want, err := elf.Open(file)
			if err != nil {
				continue // not ELF
			}
			got, gotErr := newSysroot("/").ReadELF(file)
			real, _, err := newSysroot("/").Resolve(file)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				got, gotErr = newSysroot("/").ReadELF(real)
			}
			if gotErr != nil {
				t.Errorf("%s: %v", file, gotErr)
				continue
			}
			libs, err := want.ImportedLibraries()
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if !slices.Equal(got.needed, libs) || got.machine != want.Machine {
				t.Errorf("%s: %v, want %v", file, got.needed, libs)
			}
			n++
			want.Close()
		}
	}
	if n < 20 {
		t.Fatalf("only %d ELF files on this host", n)
	}
}

func TestReadELFHostile(t *testing.T) {
	good := makeELF(fakeELF{interp: "/lib/ld.so", needed: []string{"liba.so"}})
	edit := func(at int, b ...byte) []byte {
		out := slices.Clone(good)
		copy(out[at:], b)
		return out
	}
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"empty":               {nil, "not an ELF"},
		"text":                {[]byte("hello, world, this is text"), "not an ELF"},
		"only magic":          {[]byte(elf.ELFMAG + strings.Repeat("\x02", 12)), "ELF header"},
		"class 9":             {edit(elf.EI_CLASS, 9), "class 9"},
		"headers far out":     {edit(32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "program headers"},
		"65535 headers":       {edit(56, 0xff, 0xff), "program headers"},
		"headers of one byte": {edit(54, 1, 0), "program headers"},
		"huge dynamic":        {edit(64+2*56+32, 0xff, 0xff, 0xff, 0xff), "dynamic section"},
		"cut":                 {good[:len(good)-40], "dynamic section"},
	} {
		_, err := readELF(bytes.NewReader(tc.data))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
	}
}

func FuzzELF(f *testing.F) {
	f.Add([]byte(elf.ELFMAG))
	f.Add(makeELF(fakeELF{}))
	f.Add(makeELF(fakeELF{interp: "/lib/ld.so", soname: "x", needed: []string{"liba.so"}, rpath: "a:b", runpath: "c"}))
	f.Add(makeELF(fakeELF{class: elf.ELFCLASS32, needed: []string{"liba.so"}}))
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(self[:4096])
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := readELF(bytes.NewReader(data))
		if errors.Is(err, ErrNotELF) && bytes.HasPrefix(data, []byte(elf.ELFMAG)) && len(data) >= elf.EI_NIDENT {
			t.Errorf("ELF magic, yet %v", err)
		}
		if err == nil && len(e.interp) > maxName {
			t.Errorf("interpreter of %d bytes", len(e.interp))
		}
	})
}
