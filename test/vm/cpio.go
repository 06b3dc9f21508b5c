package vm

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Types of a cpio member, the high bits of its mode as the kernel's initramfs unpacker reads them.
const (
	cpioFile    = 0o100000
	cpioDir     = 0o040000
	cpioSymlink = 0o120000
	cpioChar    = 0o020000
)

const cpioTrailer = "TRAILER!!!"

// archive writes a cpio archive in the "newc" format, the one the kernel unpacks as an initramfs.
// The first error sticks: later calls do nothing and close returns it.
type archive struct {
	w   io.Writer
	n   int64 // bytes written so far, for the padding
	ino uint32
	err error
}

func newArchive(w io.Writer) *archive { return &archive{w: w} }

// dir adds a directory; its parents must have been added before it.
func (a *archive) dir(name string, perm fs.FileMode) {
	a.member(name, cpioDir|uint32(perm.Perm()), 0, 0, 0)
}

// char adds a character device.
func (a *archive) char(name string, perm fs.FileMode, major, minor uint32) {
	a.member(name, cpioChar|uint32(perm.Perm()), 0, major, minor)
}

// symlink adds a symbolic link to target.
func (a *archive) symlink(name, target string) {
	a.member(name, cpioSymlink|0o777, int64(len(target)), 0, 0)
	a.write([]byte(target))
	a.pad()
}

// bytes adds a regular file.
func (a *archive) bytes(name string, perm fs.FileMode, data []byte) {
	a.member(name, cpioFile|uint32(perm.Perm()), int64(len(data)), 0, 0)
	a.write(data)
	a.pad()
}

// copyFile adds a regular file with the content and the permission bits of the file at path.
func (a *archive) copyFile(name, path string) {
	if a.err != nil {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	if !info.Mode().IsRegular() {
		a.err = fmt.Errorf("add %q to the initramfs: not a regular file", path)
		return
	}
	a.member(name, cpioFile|uint32(info.Mode().Perm()), info.Size(), 0, 0)
	if a.err != nil {
		return
	}
	// The size stands in the header already: a file that shrinks or grows meanwhile must not pass.
	n, err := io.Copy(a.w, io.LimitReader(f, info.Size()))
	a.n += n
	if err == nil && n != info.Size() {
		err = fmt.Errorf("add %q to the initramfs: size changed while it was read", path)
	}
	a.err = err
	a.pad()
}

// close writes the trailer and returns the first error of all calls. It does not close the writer.
func (a *archive) close() error {
	a.member(cpioTrailer, 0, 0, 0, 0)
	return a.err
}

// member writes one header and name, padded to four bytes. All members belong to root.
func (a *archive) member(name string, mode uint32, size int64, major, minor uint32) {
	if a.err != nil {
		return
	}
	if size > 1<<32-1 {
		a.err = fmt.Errorf("add %q to the initramfs: %d bytes, the format holds less than 4 GiB", name, size)
		return
	}
	ino := uint32(0)
	if name != cpioTrailer {
		a.ino++
		ino = a.ino
	}
	links := uint32(1)
	if mode&cpioDir == cpioDir {
		links = 2
	}
	fields := [...]uint32{ino, mode, 0, 0, links, 0, uint32(size), 0, 0, major, minor, uint32(len(name) + 1), 0}
	header := []byte("070701")
	for _, field := range fields {
		header = fmt.Appendf(header, "%08X", field)
	}
	header = append(header, name...)
	a.write(append(header, 0))
	a.pad()
}

func (a *archive) pad() {
	if rest := a.n % 4; rest != 0 {
		a.write(make([]byte, 4-rest))
	}
}

func (a *archive) write(p []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(p)
	a.n += int64(n)
	a.err = err
}
