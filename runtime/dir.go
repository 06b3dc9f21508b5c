package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"mmbox/cgroups"
	"mmbox/isolation"
)

// DefaultDir is where the state of sandboxes is kept unless a caller says otherwise. It is gone at reboot, as they are.
const DefaultDir = "/run/mmbox"

// Errors that callers decide on; returned wrapped.
var (
	ErrExists    = errors.New("a sandbox of this id exists")
	ErrNotFound  = errors.New("no such sandbox")
	ErrRunning   = errors.New("the sandbox is running")
	ErrStopped   = errors.New("the sandbox is not running")
	ErrPaused    = errors.New("the sandbox is paused")
	ErrNotPaused = errors.New("the sandbox is not paused")
	ErrBadID     = errors.New("not an id: use 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first")
)

// A Dir is a state directory on a host. Two of them share nothing: no sandbox, no cgroup.
type Dir struct {
	root string
	host cgroups.Host
}

// OpenDir returns the state directory at an absolute path. It creates nothing: the first sandbox does.
func OpenDir(root string) (Dir, error) {
	host, err := cgroups.Detect(cgroups.DefaultFS)
	if err != nil {
		return Dir{}, fmt.Errorf("open state %s: %w", root, err)
	}
	if root, err = resolved(root); err != nil {
		return Dir{}, fmt.Errorf("open state %s: %w", root, err)
	}
	return Dir{root: root, host: host}, nil
}

// resolved follows the symbolic links of a path as far as it exists: the cgroups of a state directory are named after it,
// so that it must have one name.
func resolved(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
		return real, err
	}
	parent, err := resolved(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// Host returns the host's cgroup hierarchies as they were when d was opened.
func (d Dir) Host() cgroups.Host { return d.host }

// ranges is where the user ids of every state directory's sandboxes are taken from: ids are the host's.
func (d Dir) ranges() isolation.Ranges { return isolation.Ranges(filepath.Join(DefaultDir, "+users")) }

// cgroupParent is the cgroup below which d's sandboxes have theirs. No id starts with a plus sign.
func (d Dir) cgroupParent() string {
	if d.root == DefaultDir {
		return "/mmbox"
	}
	sum := sha256.Sum256([]byte(d.root))
	return "/mmbox/+" + hex.EncodeToString(sum[:4])
}

// Cgroup is the cgroup of a sandbox.
func (d Dir) Cgroup(id string) string { return d.cgroupParent() + "/" + id }

func (d Dir) path(id string) string { return filepath.Join(d.root, id) }

// CheckID returns ErrBadID, wrapped, for an id that cannot name a sandbox.
func CheckID(id string) error {
	ok := len(id) >= 1 && len(id) <= 63
	for i, c := range []byte(id) {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		ok = ok && (alnum || i > 0 && (c == '.' || c == '-' || c == '_'))
	}
	if !ok {
		return fmt.Errorf("sandbox %q: %w", id, ErrBadID)
	}
	return nil
}

// A Blueprint is what a sandbox is made from.
type Blueprint struct {
	Record        Record // its first group
	UserNamespace bool   // take a range of user ids
	Specification func(isolation.Range) *specs.Spec
}

// Create makes a sandbox and starts nothing. The returned sandbox holds its lease until it is closed or handed to a
// supervisor. It returns ErrExists, wrapped, for an id in use.
func (d Dir) Create(from Blueprint) (*Sandbox, error) {
	record := from.Record
	if err := CheckID(record.ID); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.root, 0o711); err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", record.ID, err)
	}
	unlock, err := d.share(unix.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", record.ID, err)
	}
	defer unlock()
	path := d.path(record.ID)
	if err := os.Mkdir(path, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create sandbox %q: %w", record.ID, ErrExists)
	} else if err != nil {
		return nil, fmt.Errorf("create sandbox %q: %w", record.ID, err)
	}
	s := &Sandbox{dir: d, Record: record}
	if err := s.fill(from); err != nil {
		return nil, errors.Join(fmt.Errorf("create sandbox %q: %w", record.ID, err), s.discard())
	}
	return s, nil
}

func (s *Sandbox) fill(from Blueprint) (err error) {
	if err := s.lease(); err != nil {
		return err
	}
	if from.UserNamespace {
		if s.Users, err = s.dir.ranges().Take(s.path()); err != nil {
			return err
		}
	}
	s.made = from.Specification(s.Users)
	config, err := json.Marshal(s.made)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(s.path(), "config.json"), config); err != nil {
		return err
	}
	s.Record.Created = time.Now()
	return s.save()
}

// Open returns a sandbox as its record stands, without its lease. It returns ErrNotFound, wrapped, where there is none.
func (d Dir) Open(id string) (*Sandbox, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	s := &Sandbox{dir: d, Record: Record{ID: id}}
	if err := s.load(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sandbox %q: %w", id, ErrNotFound)
	} else if err != nil {
		return nil, fmt.Errorf("sandbox %q: %w", id, err)
	}
	return s, nil
}

// List returns every sandbox, by id. What is being created or removed at this moment is left out. A sandbox whose
// record cannot be read does not hide the others: it is in the error.
func (d Dir) List() ([]*Sandbox, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var list []*Sandbox
	var errs []error
	for _, id := range ids {
		s, err := d.Open(id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

func (d Dir) ids() ([]string, error) {
	entries, err := os.ReadDir(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && CheckID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// share takes the lock of the whole directory: shared while a sandbox or its cgroup is being made, exclusive while what
// is half made is removed.
func (d Dir) share(how int) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(d.root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(file, how); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}
