package tree

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
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Stage is a tree in the making, in a directory that nobody else uses. Paths are absolute, clean, valid UTF-8 and
// inside the tree; directories above them are made as needed. Its entries mirror what is on disk, so that no decision is
// taken by following what an archive put there: a path below a link is refused. A second file or link at a path replaces
// the first, anything of another kind is refused. A stage is used by one goroutine.
type Stage struct {
	ctx      context.Context //nolint:containedctx // lives within one call
	trees    *Store
	dir      string   // holds root and, at last, tree.json; empty once committed or discarded
	lease    *os.File // dir, locked
	root     int      // descriptor of dir/root
	entries  map[string]*Entry
	packages []Package // begun; owners number them from 1
	owner    int       // of the entries made from now on
	merged   []Package // of other trees

	parent   string // the directory last used, and its descriptor
	parentFD int
	buf      []byte
	hash     hash.Hash // SHA-256, between two files
	exact    bool      // the umask takes nothing away from the modes that files are made with
}

// NewStage begins a tree. The caller commits it or not, and discards it in any case. Once ctx is done, writing to it fails.
func (t *Store) NewStage(ctx context.Context) (*Stage, error) {
	dir, lease, err := t.newTemp()
	if err != nil {
		return nil, fmt.Errorf("make tree: %w", err)
	}
	s := &Stage{ctx: ctx, trees: t, dir: dir, lease: lease, root: -1, parentFD: -1, entries: map[string]*Entry{}, hash: sha256.New()}
	var info fs.FileInfo
	if err = os.Mkdir(s.RootDir(), 0o555); err == nil {
		info, err = os.Stat(s.RootDir())
	}
	if err == nil {
		s.exact = info.Mode().Perm() == 0o555
		err = os.Chmod(s.RootDir(), 0o555)
	}
	if err == nil {
		s.root, err = unix.Open(s.RootDir(), unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_PATH, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make tree: %w", err), s.Discard())
	}
	return s, nil
}

// RootDir is where the tree is being made, on this host: to be read, and written through the stage only.
func (s *Stage) RootDir() string { return filepath.Join(s.dir, "root") }

// ScratchDir makes a directory, if need be, for what helps to make the tree. It goes when the stage does.
func (s *Stage) ScratchDir() (string, error) {
	dir := filepath.Join(s.dir, "scratch")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}

// Has says whether the stage has an entry at p.
func (s *Stage) Has(p string) bool { return s.entries[p] != nil }

// Len is how many entries the stage has.
func (s *Stage) Len() int { return len(s.entries) }

// BeginPackage says that the entries made from now on come from p. A package of which no file or link is left at Commit
// is not listed.
func (s *Stage) BeginPackage(p Package) {
	s.packages = append(s.packages, p)
	s.owner = len(s.packages)
}

// EndPackage says that the entries made from now on come from no package.
func (s *Stage) EndPackage() { s.owner = 0 }

// listed are the packages of which the stage has a file or link, and those of the trees merged into it.
func (s *Stage) listed() []Package {
	used := make([]bool, len(s.packages)+1)
	for _, e := range s.entries {
		used[e.owner] = used[e.owner] || e.Kind != Dir
	}
	list := slices.Clone(s.merged)
	for i, p := range s.packages {
		if used[i+1] {
			list = append(list, p)
		}
	}
	return list
}

// Discard removes what the stage made, unless it was committed. It is the stage's one cleanup.
func (s *Stage) Discard() error {
	s.closeFDs()
	var err error
	if s.dir != "" {
		err = os.RemoveAll(s.dir)
		s.dir = ""
	}
	return errors.Join(err, s.lease.Close())
}

func (s *Stage) closeFDs() {
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

// Mkdir makes a directory and those above it. All of them must be directories or absent, links not counting as such.
func (s *Stage) Mkdir(p string) error {
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
func (s *Stage) at(dir string) (int, error) {
	if dir == s.parent && s.parentFD >= 0 {
		return s.parentFD, nil
	}
	if dir == "/" {
		return s.root, nil
	}
	if err := s.Mkdir(dir); err != nil {
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
func (s *Stage) claim(p string, kind Kind) (fd int, base string, err error) {
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

// Symlink makes a symbolic link whose target is kept as it is and not followed.
func (s *Stage) Symlink(p, target string) error {
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

// Hardlink gives a regular file of the stage a second name.
func (s *Stage) Hardlink(p, existing string) error {
	e := s.entries[existing]
	switch {
	case e == nil:
		return fmt.Errorf("%q is a hard link to %q, which is not in the tree", p, existing)
	case e.Kind != File:
		return fmt.Errorf("%q is a hard link to %q, which is a %s and not a regular file", p, existing, e.Kind)
	case p == existing:
		return fmt.Errorf("%q is a hard link to itself", p)
	}
	return s.adopt(p, filepath.Join(s.RootDir(), existing), *e)
}

// File makes a regular file from r, which must give exactly size bytes.
func (s *Stage) File(p string, exec bool, size int64, r io.Reader) error {
	fd, base, err := s.claim(p, File)
	if err != nil {
		return err
	}
	mode, text := uint32(0o444), "0444"
	if exec {
		mode, text = 0o555, "0555"
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
	s.entries[p] = &Entry{Path: p, Kind: File, Mode: text, Size: size, SHA256: sum, owner: s.owner}
	return nil
}

// adopt gives the stage a file that exists on disk, as a hard link or else as a copy. e says what it holds.
func (s *Stage) adopt(p, from string, e Entry) error {
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
func (s *Stage) copyIn(p, from string, e Entry) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.File(p, e.Mode == "0555", e.Size, f); err != nil {
		return err
	}
	if got := s.entries[p].SHA256; got != e.SHA256 {
		return fmt.Errorf("%q has digest %s instead of %s: run mmbox verify", from, got, e.SHA256)
	}
	return nil
}

// setEpoch sets the times of an entry of a directory, or, if base is empty, of the descriptor's own file.
func setEpoch(fd int, base string) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if base == "" {
		flags = unix.AT_EMPTY_PATH
	}
	return unix.UtimesNanoAt(fd, base, epochTimes[:], flags)
}

var epochTimes = [2]unix.Timespec{unix.NsecToTimespec(Epoch.UnixNano()), unix.NsecToTimespec(Epoch.UnixNano())}
