package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"mmbox/models/internal/disk"
)

// What callers decide on. ErrDamaged is a model whose record cannot be read, or whose content differs from it.
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

// Where things are in a store.
const (
	blobsDir  = "blobs/sha256"
	treesDir  = "trees"
	modelsDir = "models"
)

// A Store keeps blobs by digest and models by name and version. Its methods may be called from many goroutines and many
// processes at once. What is in it appeared whole, so readers need no lock; Lock and RLock keep Sweep and Remove away from
// what is in use.
type Store struct{ dir *disk.Dir }

// Open returns the store below dir. It creates nothing: an absent store reads as an empty one, and the first write makes
// it. The caller closes it.
func Open(dir string) (*Store, error) {
	d, err := disk.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", dir, err)
	}
	return &Store{d}, nil
}

// Close lets go of the directory. What was locked stays so until its unlock.
func (s *Store) Close() error { return s.dir.Close() }

// Dir is the store's directory, as an absolute path.
func (s *Store) Dir() string { return s.dir.Path() }

// TreesDir is where trees are kept, as TreesDir/sha256/HEX. The store itself never looks into it.
func (s *Store) TreesDir() string { return filepath.Join(s.dir.Path(), treesDir) }

// BlobPath is where a blob lies, whether it is there or not. The digest must be valid.
func (s *Store) BlobPath(d Digest) string { return filepath.Join(s.dir.Path(), blobsDir, d.Hex()) }

// Lock waits until nobody else holds the store, for reading or writing, and keeps it until unlock or the end of the
// process. Whoever puts blobs for a model holds it, or RLock, until the model is added.
func (s *Store) Lock(ctx context.Context) (unlock func() error, err error) { return s.dir.Lock(ctx) }

// RLock waits until nobody writes, and keeps writers away until unlock or the end of the process. A store that is not
// there has nothing to lock.
func (s *Store) RLock(ctx context.Context) (unlock func() error, err error) { return s.dir.RLock(ctx) }

// Blob says how large a stored blob is. An absent one is an error that fs.ErrNotExist matches.
func (s *Store) Blob(d Digest) (Blob, error) {
	if err := d.Validate(); err != nil {
		return Blob{}, fmt.Errorf("open blob: %w", err)
	}
	size, err := s.dir.Size(blobFile(d))
	if err != nil {
		return Blob{}, fmt.Errorf("open blob %q: %w", d, err)
	}
	return Blob{d, size}, nil
}

// PutBlob stores what r gives, to its end, under its digest, readable for all. With want, other content is refused and
// nothing kept. A blob that is there already stays the same file, unless it is damaged: then it is replaced.
func (s *Store) PutBlob(r io.Reader, want Digest) (Blob, error) {
	if want != "" {
		if err := want.Validate(); err != nil {
			return Blob{}, fmt.Errorf("put blob: %w", err)
		}
	}
	got, err := s.dir.Put(blobsDir, r, want.Hex())
	if err != nil {
		return Blob{}, fmt.Errorf("put blob: %w", err)
	}
	return blobOf(got), nil
}

func blobOf(c disk.Content) Blob { return Blob{Digest(digestPrefix + c.Hex), c.Size} }

func blobFile(d Digest) string { return blobsDir + "/" + d.Hex() }
