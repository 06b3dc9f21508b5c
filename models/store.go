package models

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What callers decide on. ErrDamaged is a model whose record cannot be read, whose files differ from it, or both.
var (
	ErrNotFound = errors.New("no such model")
	ErrExists   = errors.New("already installed")
	ErrDamaged  = errors.New("damaged")
)

// A Digest names content by its SHA-256, as "sha256:" and 64 hexadecimal digits.
type Digest string

// A Blob is a piece of content in a store.
type Blob struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
}

// A Model is an installed model: its manifest and the digests of what the manifest names.
type Model struct {
	Manifest  Manifest        `json:"manifest"`
	Digest    Digest          `json:"digest"` // over the manifest, the layers and the files
	Layers    []Digest        `json:"layers"` // trees, lowest first
	Root      Digest          `json:"root"`   // the tree that merges the layers and the files
	Files     map[string]Blob `json:"files,omitempty"`
	Golden    map[string]Blob `json:"golden,omitempty"` // by InputFile
	Source    string          `json:"source"`           // where it was installed from
	Installed time.Time       `json:"installed"`
}

// Where things are in a store. What is being made has a name that starts with tempPrefix, which no finished thing has.
const (
	blobsDir   = "blobs/sha256"
	treesDir   = "trees"
	modelsDir  = "models"
	lockFile   = "lock"
	tempPrefix = ".tmp-"
)

// A Store keeps blobs by digest and models by name and version below a directory. Its methods may be called from many
// goroutines and many processes at once. Every write is a temporary file, fsync and rename, so that a reader needs no
// lock and a crash leaves at most what Garbage finds. Lock keeps Sweep and Remove away from what is in use.
type Store struct {
	dir  string
	mu   sync.Mutex
	root *os.Root // nil until the directory is there
}

// Open returns the store below dir. It creates nothing: an absent store reads as an empty one, and the first write makes
// it. The caller closes it.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	s := &Store{dir: abs}
	if _, err := s.open(false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s, nil
}

// Close lets go of the directory. What was locked stays so until its unlock.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil {
		return nil
	}
	err := s.root.Close()
	s.root = nil
	return err
}

// Dir is the store's directory, as an absolute path.
func (s *Store) Dir() string { return s.dir }

// TreesDir is where trees are kept, as TreesDir/sha256/HEX. The store itself never looks into it.
func (s *Store) TreesDir() string { return filepath.Join(s.dir, treesDir) }

// open gives the handle on the directory. An absent directory is made, or is an error that fs.ErrNotExist matches.
func (s *Store) open(create bool) (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil {
		return s.root, nil
	}
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return nil, s.explain("create store", err)
		}
		if err := os.Chmod(s.dir, 0o755); err != nil { // whatever the umask: sandboxes read what lies below as other users
			return nil, s.explain("create store", err)
		}
		root, err = os.OpenRoot(s.dir)
	}
	if err != nil {
		return nil, s.explain("open store", err)
	}
	s.root = root
	return root, nil
}

// makeDir makes a directory of the store and those above it, readable for all whatever the umask.
func (s *Store) makeDir(root *os.Root, dir string) error {
	for i := range len(dir) + 1 {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		part := dir[:i]
		switch err := root.Mkdir(part, 0o755); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return s.explain("create "+part, err)
		}
		if err := root.Chmod(part, 0o755); err != nil {
			return s.explain("create "+part, err)
		}
		if err := syncDir(root, filepath.Dir(part)); err != nil {
			return s.explain("create "+part, err)
		}
	}
	return nil
}

// explain says what failed and, for what has nothing to do with the store itself, what to do about it.
func (s *Store) explain(operation string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w; the file system of %s is full, free some space (mmbox gc removes what no model uses) and try again", operation, err, s.dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w; %s cannot be written to, choose another directory with --root", operation, err, s.dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w; become root, or choose a directory of your own with --root", operation, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: %w; choose a directory with --root", operation, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// syncDir makes the entries of a directory last.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// createTemp makes a file in a directory of the store, under a name that Sweep knows as temporary.
func createTemp(root *os.Root, dir string) (*os.File, string, error) {
	name := tempName(dir)
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return f, name, err
}

func tempName(dir string) string { return dir + "/" + tempPrefix + strings.ToLower(rand.Text()) }
