package disk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

// A Content is what a file holds: its SHA-256 in hexadecimal and its bytes.
type Content struct {
	Hex  string
	Size int64
}

// Put stores what r gives, to its end, in a directory under the name of its digest, read-only. With want, other content
// is refused and nothing kept. A file that is there already stays the same one, unless it is damaged: then it is replaced.
func (d *Dir) Put(dir string, r io.Reader, want string) (_ Content, err error) {
	root, err := d.makeAll(dir)
	if err != nil {
		return Content{}, err
	}
	temp := tempName(dir)
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Content{}, d.explain("write file", err)
	}
	defer func() {
		if temp != "" {
			err = errors.Join(err, root.Remove(temp))
		}
	}()
	got, err := d.fill(f, r)
	if err != nil {
		return Content{}, err
	}
	if want != "" && got.Hex != want {
		return Content{}, fmt.Errorf("wrong content: expected sha256 %s, got %s (%d bytes)", want, got.Hex, got.Size)
	}
	name := dir + "/" + got.Hex
	if there, err := d.Hash(name); err == nil && there == got {
		return got, nil
	}
	if err := root.Rename(temp, name); err != nil {
		return Content{}, d.explain("write file", err)
	}
	temp = ""
	if err := syncDir(root, dir); err != nil {
		return Content{}, d.explain("write file", err)
	}
	return got, nil
}

// fill writes what r gives to f, makes it last and closes f.
func (d *Dir) fill(f *os.File, r io.Reader) (Content, error) {
	h := sha256.New()
	in := &source{r: r}
	n, err := io.Copy(io.MultiWriter(f, h), in)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	switch {
	case in.err != nil: // the directory has no part in it
		return Content{}, fmt.Errorf("read content: %w", in.err)
	case err != nil:
		return Content{}, d.explain("write file", err)
	}
	return Content{hex.EncodeToString(h.Sum(nil)), n}, nil
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

// Hash reads a file and gives what it holds now. An absent one is an error that fs.ErrNotExist matches.
func (d *Dir) Hash(name string) (_ Content, err error) {
	root, err := d.open(false)
	if err != nil {
		return Content{}, err
	}
	f, err := root.Open(name)
	if err != nil {
		return Content{}, d.explain("read file", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return Content{}, d.explain("read file", err)
	}
	return Content{hex.EncodeToString(h.Sum(nil)), n}, nil
}

// PutDir makes a directory with files in it appear at once. staging is where it is made and is above dir. Where something
// is already, that stays, and the error matches fs.ErrExist.
func (d *Dir) PutDir(staging, dir string, files map[string][]byte) error {
	root, err := d.makeAll(path.Dir(dir))
	if err != nil {
		return err
	}
	if err := putDir(root, staging, dir, files); err != nil {
		return d.explain("write directory", err)
	}
	return nil
}

func putDir(root *os.Root, staging, dir string, files map[string][]byte) (err error) {
	temp := tempName(staging)
	defer func() {
		if temp != "" {
			err = errors.Join(err, root.RemoveAll(temp))
		}
	}()
	if err := errors.Join(root.Mkdir(temp, 0o755), root.Chmod(temp, 0o755)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeFile(root, temp+"/"+name, files[name]); err != nil {
			return err
		}
	}
	if err := syncDir(root, temp); err != nil {
		return err
	}
	// The kernel replaces only an empty directory, which PutDir never makes; another answers EEXIST or ENOTEMPTY.
	if err := root.Rename(temp, dir); err != nil {
		return err
	}
	temp = ""
	return errors.Join(syncDir(root, path.Dir(dir)), syncDir(root, staging))
}

func writeFile(root *os.Root, name string, content []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// RemoveDir makes a directory disappear at once, and the one it was in if that is empty then. An absent one is an error that
// fs.ErrNotExist matches.
func (d *Dir) RemoveDir(staging, dir string) error {
	root, err := d.open(false)
	if err != nil {
		return err
	}
	temp := tempName(staging)
	if err := root.Rename(dir, temp); err != nil {
		return d.explain("remove directory", err)
	}
	if err := errors.Join(syncDir(root, path.Dir(dir)), root.RemoveAll(temp)); err != nil {
		return d.explain("remove directory", err)
	}
	if err := root.Remove(path.Dir(dir)); err != nil && !errors.Is(err, fs.ErrExist) { // ENOTEMPTY
		return d.explain("remove directory", err)
	}
	return nil
}

// Remove removes a file, or a directory with all that is in it. An absent one is no error.
func (d *Dir) Remove(name string) error {
	root, err := d.open(false)
	if err != nil {
		return err
	}
	if err := root.RemoveAll(name); err != nil {
		return d.explain("remove file", err)
	}
	return nil
}
