package rootfs

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"mmbox/rootfs/tree"
)

// Limits bound what an archive may make of itself. A limit that is reached is an error that names it.
type Limits struct {
	Bytes   int64 // of all files together, once unpacked
	Entries int   // headers, directories and repetitions included
	Path    int   // bytes of an entry's path; one component has at most 255, as in the kernel
	Depth   int   // components of an entry's path
	Ratio   int64 // unpacked bytes for each byte of the archive, counted from the first 64 MiB on
}

// DefaultLimits hold what a model needs several times over: Python with PyTorch has some 40,000 files, a whole Debian desktop 200,000.
var DefaultLimits = Limits{Bytes: 32 << 30, Entries: 200_000, Path: 1024, Depth: 64, Ratio: 200}

const ratioFrom = 64 << 20

// An unpacker puts the entries of one archive into a stage. It follows no link, on disk or in the archive.
type unpacker struct {
	*tree.Stage
	ctx      context.Context //nolint:containedctx // lives within one call
	limits   Limits
	fold     bool         // move /bin, /lib… below /usr, as merged-usr systems have it
	strip    bool         // drop set-user-ID bits instead of refusing them
	consumed atomic.Int64 // bytes of the archive
	entries  int
	unpacked int64
}

// unpack reads a tar archive to its end: plain, gzip or zstd, told by its content.
func (u *unpacker) unpack(r io.Reader) error {
	counted := bufio.NewReaderSize(&counter{r: r, n: &u.consumed}, 128<<10)
	plain, closer, err := decompress(counted)
	if err != nil {
		return err
	}
	defer closer()
	end := &ending{r: plain}
	tr := tar.NewReader(end)
	for {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("after entry %d: %w", u.entries, err)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	return end.check()
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if u.entries++; u.entries > u.limits.Entries {
		return fmt.Errorf("entry %q: more than %d entries: leave out what the model does not need", h.Name, u.limits.Entries)
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		for k := range h.PAXRecords {
			if k != "comment" {
				return fmt.Errorf("global header sets %q for every entry: make the archive without", k)
			}
		}
		return nil
	}
	p, err := u.path(h.Name)
	if err != nil {
		return fmt.Errorf("entry %w", err)
	}
	if err := u.place(p, h, content); err != nil {
		return fmt.Errorf("entry %q: %w", h.Name, err)
	}
	return nil
}

// place makes the entry at p. Times, owners, attributes and write permission are dropped.
func (u *unpacker) place(p string, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return u.Mkdir(p)
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Mode&0o6000 != 0 && !u.strip {
			return fmt.Errorf("set-user-ID or set-group-ID file (mode %04o): clear the bit with chmod ug-s", h.Mode&0o7777)
		}
		if h.Size > u.limits.Bytes-u.unpacked {
			return fmt.Errorf("%d bytes more than the %d before it: over the limit of %d bytes", h.Size, u.unpacked, u.limits.Bytes)
		}
		return u.File(p, h.Mode&0o111 != 0, h.Size, (*metered)(&meter{u, content}))
	case tar.TypeSymlink:
		return u.Symlink(p, h.Linkname)
	case tar.TypeLink:
		target, err := u.path(h.Linkname)
		if err != nil {
			return fmt.Errorf("hard link to %w", err)
		}
		return u.Hardlink(p, target)
	case tar.TypeChar, tar.TypeBlock:
		return errors.New("device: a root has none of its own, leave it out (tar --exclude)")
	case tar.TypeFifo:
		return errors.New("fifo: a root has none, leave it out (tar --exclude)")
	}
	return fmt.Errorf("type %q is not one of file, directory, link", h.Typeflag)
}

// path checks the name of an entry and makes it absolute. Errors start with the quoted name.
func (u *unpacker) path(name string) (string, error) {
	fail := func(why string, args ...any) (string, error) {
		return "", fmt.Errorf("%.80q: "+why, append([]any{name}, args...)...)
	}
	switch {
	case name == "":
		return fail("empty name")
	case name[0] == '/':
		return fail("absolute name: make it relative to the root")
	case strings.ContainsRune(name, 0):
		return fail("NUL in the name")
	case !utf8.ValidString(name):
		return fail("name is not UTF-8")
	case len(name) > u.limits.Path:
		return fail("name of %d bytes is longer than %d", len(name), u.limits.Path)
	}
	parts, depth := strings.Split(name, "/"), 0
	for _, part := range parts {
		switch {
		case part == "..":
			return fail(`".." leads out of the root`)
		case len(part) > 255:
			return fail("component of %d bytes is longer than 255", len(part))
		case part != "" && part != ".":
			depth++
		}
	}
	if depth > u.limits.Depth {
		return fail("%d directories deep, more than %d", depth, u.limits.Depth)
	}
	p := path.Clean("/" + name)
	if u.fold {
		p = foldUsr(p)
	}
	return p, nil
}

// A meter counts what a file unpacks to, while it does.
type meter struct {
	u *unpacker
	r io.Reader
}

type metered meter

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	u := m.u
	u.unpacked += int64(n)
	if in := u.consumed.Load(); u.unpacked > ratioFrom && u.unpacked/u.limits.Ratio > in {
		return n, fmt.Errorf("%d bytes unpacked from %d of the archive: over the ratio of %d", u.unpacked, in, u.limits.Ratio)
	}
	return n, err
}

type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// An ending knows whether tar's end marker was read, or only the end of the data.
type ending struct {
	r   io.Reader
	eof bool
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	e.eof = e.eof || err == io.EOF
	return n, err
}

// check reads on to the end of the data, through which there may be only zeros after the marker.
func (e *ending) check() error {
	if e.eof {
		return errors.New("the archive stops without its end marker: it is cut off")
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := e.r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return errors.New("data after the end of the archive")
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// decompress tells by the first bytes what r is compressed with. Window sizes are bounded, so memory is.
func decompress(r *bufio.Reader) (io.Reader, func(), error) {
	magic, err := r.Peek(6)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		ahead, stop := readAhead(z)
		return ahead, stop, nil
	case strings.HasPrefix(string(magic), "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case strings.HasPrefix(string(magic), "\xfd7zXZ\x00"), strings.HasPrefix(string(magic), "BZh"):
		return nil, nil, errors.New("compressed with xz or bzip2: use gzip or zstd, or no compression")
	}
	return r, func() {}, nil
}

// readAhead decompresses in a goroutine of its own, a few buffers ahead of the reader.
func readAhead(r io.Reader) (io.Reader, func()) {
	a := &ahead{full: make(chan []byte, 4), free: make(chan []byte, 4), quit: make(chan struct{})}
	for range cap(a.free) {
		a.free <- make([]byte, 256<<10)
	}
	go a.run(r)
	return a, func() { close(a.quit) }
}

type ahead struct {
	full, free chan []byte
	quit       chan struct{}
	err        error // valid once full is closed
	buf, rest  []byte
}

func (a *ahead) run(r io.Reader) {
	defer close(a.full)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.quit:
			a.err = io.ErrClosedPipe
			return
		}
		n, err := io.ReadFull(r, b[:cap(b)])
		if n > 0 {
			a.full <- b[:n] // room for all
		}
		if err == io.ErrUnexpectedEOF && n > 0 {
			continue // the next read tells a short end from a cut one
		}
		if err != nil {
			a.err = err
			return
		}
	}
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.buf != nil {
			a.free <- a.buf
			a.buf = nil
		}
		b, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.buf, a.rest = b, b
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// unpackFile unpacks an archive and, where want is set, checks the archive's digest.
func (u *unpacker) unpackFile(f *os.File, want string) error {
	sum := sha256.New()
	var r io.Reader = f
	if want != "" {
		r = io.TeeReader(f, sum)
	}
	if err := u.unpack(r); err != nil {
		if want == "" || u.ctx.Err() != nil {
			return err
		}
		// Content that is not what was asked for says more than how it failed to be an archive.
		if wrong := u.checkDigest(f, want); wrong != nil {
			return wrong
		}
		return err
	}
	if want == "" {
		return nil
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return sameDigest(sum, want)
}

// checkDigest reads a file once more, from its start.
func (u *unpacker) checkDigest(f *os.File, want string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &cancelled{u.ctx, f}); err != nil {
		return err
	}
	return sameDigest(sum, want)
}

func sameDigest(sum hash.Hash, want string) error {
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("its sha256 is %s, the manifest says %s: fetch it again, or correct the manifest", got, want)
	}
	return nil
}
