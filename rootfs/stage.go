package rootfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/models"
)

// A stage is a tree in the making, in a directory that nobody else uses. Its entries mirror what is on disk, so that
// no decision is taken by following what an archive put there.
type stage struct {
	ctx      context.Context //nolint:containedctx // a stage lives within one call
	trees    *Trees
	dir      string   // holds root and, at last, tree.json; empty once committed or discarded
	lease    *os.File // dir, locked
	root     int      // descriptor of dir/root
	entries  map[string]*Entry
	packages []Package
	owner    int // of the entries made from now on

	parent   string // the directory last used, and its descriptor
	parentFD int
	buf      []byte
	exact    bool // the umask takes nothing away from the modes that files are made with
}

func (t *Trees) newStage(ctx context.Context) (*stage, error) {
	dir, lease, err := t.newTemp()
	if err != nil {
		return nil, fmt.Errorf("make tree: %w", err)
	}
	s := &stage{ctx: ctx, trees: t, dir: dir, lease: lease, root: -1, parentFD: -1, entries: map[string]*Entry{}}
	var info fs.FileInfo
	if err = os.Mkdir(s.rootDir(), 0o555); err == nil {
		info, err = os.Stat(s.rootDir())
	}
	if err == nil {
		s.exact = info.Mode().Perm() == 0o555
		err = os.Chmod(s.rootDir(), 0o555)
	}
	if err == nil {
		s.root, err = unix.Open(s.rootDir(), unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_PATH, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make tree: %w", err), s.discard())
	}
	return s, nil
}

func (s *stage) rootDir() string { return filepath.Join(s.dir, "root") }

// discard removes what a stage made, unless it was committed. It is the stage's one cleanup.
func (s *stage) discard() error {
	s.closeFDs()
	var err error
	if s.dir != "" {
		err = os.RemoveAll(s.dir)
		s.dir = ""
	}
	return errors.Join(err, s.lease.Close())
}

func (s *stage) closeFDs() {
	for _, fd := range []*int{&s.root, &s.parentFD} {
		if *fd >= 0 {
			_ = unix.Close(*fd) // O_PATH and directory descriptors have nothing to flush
			*fd = -1
		}
	}
}

// errType is the refusal of an entry at a path that holds something of another kind.
func errType(p string, is, want Kind) error {
	return fmt.Errorf("%q is a %s already and would become a %s", p, is, want)
}

// mkdir makes a directory and those above it. All of them must be directories or absent, links not counting as such.
func (s *stage) mkdir(p string) error {
	if p == "/" {
		return nil
	}
	if e := s.entries[p]; e != nil {
		if e.Kind != Dir {
			return errType(p, e.Kind, Dir)
		}
		return nil
	}
	fd, err := s.at(path.Dir(p))
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(fd, path.Base(p), 0o555); err != nil {
		return &fs.PathError{Op: "mkdir", Path: p, Err: err}
	}
	s.entries[p] = &Entry{Path: p, Kind: Dir, Mode: "0555", owner: s.owner}
	return nil
}

// at gives a descriptor of a directory, which it makes if need be. The descriptor is good until the next call.
func (s *stage) at(dir string) (int, error) {
	if dir == s.parent && s.parentFD >= 0 {
		return s.parentFD, nil
	}
	if dir == "/" {
		return s.root, nil
	}
	if err := s.mkdir(dir); err != nil {
		return -1, err
	}
	fd, err := unix.Openat2(s.root, dir[1:], &unix.OpenHow{
		Flags: unix.O_DIRECTORY | unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	if s.parentFD >= 0 {
		_ = unix.Close(s.parentFD)
	}
	s.parent, s.parentFD = dir, fd
	return fd, nil
}

// claim readies p for a new entry: its parent exists, and what was there before, of the same kind, is gone.
func (s *stage) claim(p string, kind Kind) (fd int, base string, err error) {
	if p == "/" {
		return -1, "", fmt.Errorf("the root is a directory and cannot be a %s", kind)
	}
	old := s.entries[p]
	if old != nil && old.Kind != kind {
		return -1, "", errType(p, old.Kind, kind)
	}
	if fd, err = s.at(path.Dir(p)); err != nil {
		return -1, "", err
	}
	if old != nil {
		if err := unix.Unlinkat(fd, path.Base(p), 0); err != nil {
			return -1, "", &fs.PathError{Op: "replace", Path: p, Err: err}
		}
		delete(s.entries, p)
	}
	return fd, path.Base(p), nil
}

// symlink makes a symbolic link whose target is kept as it is and not followed.
func (s *stage) symlink(p, target string) error {
	if target == "" || len(target) >= unix.PathMax || strings.ContainsRune(target, 0) {
		return fmt.Errorf("%q: link target %.40q is empty, too long or has a NUL", p, target)
	}
	fd, base, err := s.claim(p, Link)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(target, fd, base); err != nil {
		return &fs.PathError{Op: "symlink", Path: p, Err: err}
	}
	if err := setEpoch(fd, base); err != nil {
		return &fs.PathError{Op: "utimensat", Path: p, Err: err}
	}
	s.entries[p] = &Entry{Path: p, Kind: Link, Target: target, owner: s.owner}
	return nil
}

// hardlink gives a regular file of the stage a second name.
func (s *stage) hardlink(p, existing string) error {
	e := s.entries[existing]
	switch {
	case e == nil:
		return fmt.Errorf("%q is a hard link to %q, which is not in the tree", p, existing)
	case e.Kind != File:
		return fmt.Errorf("%q is a hard link to %q, which is a %s and not a regular file", p, existing, e.Kind)
	case p == existing:
		return fmt.Errorf("%q is a hard link to itself", p)
	}
	return s.adopt(p, filepath.Join(s.rootDir(), existing), *e)
}

// file makes a regular file from r, which must give exactly size bytes.
func (s *stage) file(p string, exec bool, size int64, r io.Reader) error {
	fd, base, err := s.claim(p, File)
	if err != nil {
		return err
	}
	mode := uint32(0o444)
	if exec {
		mode = 0o555
	}
	out, err := unix.Openat(fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return &fs.PathError{Op: "create", Path: p, Err: err}
	}
	sum, n, err := s.fill(out, size, r)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes instead of %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err == nil && !s.exact {
		err = unix.Fchmod(out, mode)
	}
	if err == nil {
		err = setEpoch(out, "")
	}
	if cerr := unix.Close(out); err == nil {
		err = cerr
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: p, Err: err}
	}
	s.entries[p] = &Entry{Path: p, Kind: File, Mode: fmt.Sprintf("%04o", mode), Size: size, SHA256: sum, owner: s.owner}
	return nil
}

const bufferSize = 256 << 10

// fill copies r to the descriptor and gives the content's digest. Content of more than one buffer is hashed beside the
// writing, for either alone takes as long as reading.
func (s *stage) fill(out int, size int64, r io.Reader) (models.Digest, int64, error) {
	if need := min(size, bufferSize); need > int64(len(s.buf)) || s.buf == nil {
		s.buf = make([]byte, max(need, 4096))
	}
	h := sha256.New()
	var side *hasher
	if size > int64(len(s.buf)) {
		side = newHasher(h)
		defer side.stop()
	}
	buf, total := s.buf, int64(0)
	for {
		if err := s.ctx.Err(); err != nil {
			return "", total, context.Cause(s.ctx)
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 && side != nil {
			side.in <- buf[:n]
		} else {
			h.Write(buf[:n])
		}
		for b := buf[:n]; len(b) > 0; {
			w, werr := unix.Write(out, b)
			if werr != nil && werr != unix.EINTR {
				return "", total, werr
			}
			b = b[max(w, 0):]
		}
		total += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		} else if err != nil {
			return "", total, err
		}
		if side != nil {
			buf = side.swap(buf)
		}
	}
	if side != nil {
		side.stop()
	}
	return sumDigest([sha256.Size]byte(h.Sum(nil))), total, nil
}

// A hasher feeds a hash in a goroutine of its own. At most three buffers exist: out has room for all of them, so that
// the hasher never waits for its user.
type hasher struct {
	in   chan []byte
	out  chan []byte
	done chan struct{}
}

func newHasher(h hash.Hash) *hasher {
	s := &hasher{in: make(chan []byte, 1), out: make(chan []byte, 4), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for b := range s.in {
			h.Write(b)
			s.out <- b
		}
	}()
	return s
}

// swap gives a buffer that is not being hashed, as large as old.
func (s *hasher) swap(old []byte) []byte {
	select {
	case b := <-s.out:
		return b[:cap(b)]
	default:
		return make([]byte, len(old))
	}
}

// stop waits until all is hashed. It may be called again.
func (s *hasher) stop() {
	if s.in != nil {
		close(s.in)
		s.in = nil
	}
	<-s.done
}

// adopt gives the stage a file that exists on disk, as a hard link or else as a copy. e says what it holds.
func (s *stage) adopt(p, from string, e Entry) error {
	fd, base, err := s.claim(p, File)
	if err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, from, fd, base, 0)
	if errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) {
		return s.copyIn(p, from, e)
	} else if err != nil {
		return &fs.PathError{Op: "link", Path: from, Err: err}
	}
	e.Path, e.owner = p, s.owner
	s.entries[p] = &e
	return nil
}

// copyIn is adopt by copying, and checks the content on the way.
func (s *stage) copyIn(p, from string, e Entry) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.file(p, e.Mode == "0555", e.Size, f); err != nil {
		return err
	}
	if got := s.entries[p].SHA256; got != e.SHA256 {
		return fmt.Errorf("%q has digest %s instead of %s: run mmbox verify", from, got, e.SHA256)
	}
	return nil
}

// setEpoch sets the times of an entry of a directory, or, if base is empty, of the descriptor's own file.
func setEpoch(fd int, base string) error {
	ts := unix.NsecToTimespec(Epoch.UnixNano())
	flags := unix.AT_SYMLINK_NOFOLLOW
	if base == "" {
		flags = unix.AT_EMPTY_PATH
	}
	return unix.UtimesNanoAt(fd, base, []unix.Timespec{ts, ts}, flags)
}
