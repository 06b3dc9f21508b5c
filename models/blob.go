package models

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// BlobPath is where a blob lies, whether it is there or not. The digest must be valid.
func (s *Store) BlobPath(d Digest) string { return filepath.Join(s.dir, blobsDir, d.Hex()) }

// Blob says how large a stored blob is. An absent one is an error that fs.ErrNotExist matches.
func (s *Store) Blob(d Digest) (Blob, error) {
	if err := d.Validate(); err != nil {
		return Blob{}, fmt.Errorf("open blob: %w", err)
	}
	root, err := s.open(false)
	if err != nil {
		return Blob{}, fmt.Errorf("open blob %q: %w", d, err)
	}
	info, err := root.Stat(blobFile(d))
	if err != nil {
		return Blob{}, s.explain("open blob", err)
	}
	return Blob{d, info.Size()}, nil
}

// PutBlob stores what r gives, to its end, under its digest, readable for all. With want, other content is refused and
// nothing kept. A blob that is there already stays the same file, unless it is damaged: then it is replaced.
func (s *Store) PutBlob(r io.Reader, want Digest) (_ Blob, err error) {
	if want != "" {
		if err := want.Validate(); err != nil {
			return Blob{}, fmt.Errorf("put blob: %w", err)
		}
	}
	root, err := s.open(true)
	if err != nil {
		return Blob{}, err
	}
	if err := s.makeDir(root, blobsDir); err != nil {
		return Blob{}, err
	}
	f, temp, err := createTemp(root, blobsDir)
	if err != nil {
		return Blob{}, s.explain("write blob", err)
	}
	defer func() {
		if temp != "" {
			err = errors.Join(err, root.Remove(temp))
		}
	}()
	blob, err := s.fill(f, r)
	if err != nil {
		return Blob{}, err
	}
	if want != "" && blob.Digest != want {
		return Blob{}, fmt.Errorf("put blob: wrong content: expected %s, got %s (%d bytes)", want, blob.Digest, blob.Size)
	}
	if got, err := hashFile(root, blobFile(blob.Digest)); err == nil && got == blob {
		return blob, nil
	}
	if err := root.Rename(temp, blobFile(blob.Digest)); err != nil {
		return Blob{}, s.explain("write blob", err)
	}
	temp = ""
	if err := syncDir(root, blobsDir); err != nil {
		return Blob{}, s.explain("write blob", err)
	}
	return blob, nil
}

// fill writes what r gives to f, makes it last and closes f.
func (s *Store) fill(f *os.File, r io.Reader) (Blob, error) {
	h := sha256.New()
	in := &source{r: r}
	n, err := io.Copy(io.MultiWriter(f, h), in)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if err == nil {
		err = f.Sync()
	}
	closeErr := f.Close()
	switch {
	case in.err != nil: // the store has no part in it
		return Blob{}, fmt.Errorf("read content: %w", in.err)
	case err != nil:
		return Blob{}, s.explain("write blob", err)
	case closeErr != nil:
		return Blob{}, s.explain("write blob", closeErr)
	}
	return Blob{sumDigest(h), n}, nil
}

// A source remembers that it was reading that failed, which io.Copy does not tell from writing.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func blobFile(d Digest) string { return blobsDir + "/" + d.Hex() }

// hashFile gives the digest and size that a file of the store has now.
func hashFile(root *os.Root, name string) (_ Blob, err error) {
	f, err := root.Open(name)
	if err != nil {
		return Blob{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return Blob{}, err
	}
	return Blob{sumDigest(h), n}, nil
}

// verifyBlob says how a stored blob differs from what it should be.
func (s *Store) verifyBlob(root *os.Root, name string, want Blob) error {
	got, err := hashFile(root, blobFile(want.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("file %q: %w: blob %s is missing; install the model again", name, ErrDamaged, want.Digest)
	case err != nil:
		return fmt.Errorf("file %q: read blob: %w", name, err)
	case got != want:
		return fmt.Errorf("file %q: %w: expected %s (%d bytes), got %s (%d bytes); install the model again",
			name, ErrDamaged, want.Digest, want.Size, got.Digest, got.Size)
	}
	return nil
}
