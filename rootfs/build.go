package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/closure"
)

// ErrNotSupported is matched by the error for a kind of layer that this version does not read.
var ErrNotSupported = errors.New("not supported yet by this version")

// Build makes the tree of a layer and gives its digest. Relative paths of the layer start at base. A tree that exists
// is not made again; a layer whose inputs have not changed since it was built is not even read again. Nothing of the
// layer is executed.
func (t *Trees) Build(ctx context.Context, layer models.Layer, base string) (models.Digest, error) {
	in := t.input(layer, base)
	if d, ok := in.cached(); ok && t.Has(d) {
		return d, nil
	}
	in.begin()
	s, err := t.newStage(ctx)
	if err != nil {
		return "", err
	}
	d, err := s.build(layer, base, in)
	if err = errors.Join(err, s.discard()); err != nil {
		return "", fmt.Errorf("layer %s: %w", layerName(layer), err)
	}
	if err := in.remember(d); err != nil {
		return "", fmt.Errorf("layer %s: %w", layerName(layer), err)
	}
	return d, nil
}

func (s *stage) build(layer models.Layer, base string, in *input) (models.Digest, error) {
	var err error
	switch {
	case layer.Dir != "":
		err = s.copyDir(within(base, layer.Dir), layer.Keep, in)
	case layer.Closure != nil:
		w := closure.New("/")
		err = s.copyKept(w, layer.Closure, in)
	case layer.Tar != "":
		if err = s.unpackTar(within(base, layer.Tar), layer, in); err == nil {
			err = s.prune(layer.Keep)
		}
	case layer.Debs != nil:
		if err = s.unpackDebs(layer.Debs, in); err == nil {
			err = s.prune(layer.Keep)
		}
		s.dropIdlePackages()
	case layer.OCI != "" || layer.Image != "":
		err = fmt.Errorf("%w: use debs, closure, tar or dir", ErrNotSupported)
	default:
		err = errors.New("names no source: write one of debs, closure, tar and dir")
	}
	if err != nil {
		return "", err
	}
	return s.commit()
}

// unpackTar unpacks an archive. Set-user-ID files are refused, unless keep chooses among the files: then nobody asked
// for that one to be so.
func (s *stage) unpackTar(file string, layer models.Layer, in *input) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	in.stamp(file)
	u := unpacker{stage: s, limits: s.trees.limits, strip: len(layer.Keep) > 0}
	return u.unpackFile(file, layer.SHA256)
}

// layerName is how messages call a layer.
func layerName(l models.Layer) string {
	switch {
	case l.Dir != "":
		return fmt.Sprintf("dir %q", l.Dir)
	case l.Closure != nil:
		return "closure " + strings.Join(l.Closure, " ")
	case l.Tar != "":
		return fmt.Sprintf("tar %q", l.Tar)
	case l.Debs != nil:
		return "debs " + strings.Join(l.Debs, " ")
	case l.OCI != "":
		return fmt.Sprintf("oci %q", l.OCI)
	}
	return fmt.Sprintf("image %q", l.Image)
}

func within(base, p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(base, p)
}

// copyDir copies a directory, or what keep names of it with what those programs need.
func (s *stage) copyDir(dir string, keep []string, in *input) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if len(keep) > 0 {
		return s.copyKept(closure.New(dir), keep, in)
	}
	copied := int64(0)
	return filepath.WalkDir(dir, func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in.stamp(host)
		if len(s.entries) > s.trees.limits.Entries {
			return fmt.Errorf("more than %d entries", s.trees.limits.Entries)
		}
		n, err := s.copyEntry(host, path.Join("/", strings.TrimPrefix(host, dir)), false)
		if copied += n; err == nil && copied > s.trees.limits.Bytes {
			err = fmt.Errorf("more than %d bytes", s.trees.limits.Bytes)
		}
		return err
	})
}

// copyKept copies what a walk keeps for the paths, out of the walk's root.
func (s *stage) copyKept(w *closure.Walk, paths []string, in *input) error {
	if err := w.Add(paths); err != nil {
		return err
	}
	for dir := range w.Searched {
		if real, _, err := w.Resolve(dir); err == nil {
			dir = real
		}
		in.stamp(w.On(dir))
	}
	for _, p := range slices.Sorted(maps.Keys(w.Keep)) {
		in.stamp(w.On(p))
		if _, err := s.copyEntry(w.On(p), p, true); err != nil {
			return err
		}
	}
	return s.addLinks(w.Links)
}

// prune leaves of an unpacked stage what keep names and those programs need, if keep names anything.
func (s *stage) prune(keep []string) error {
	if len(keep) == 0 {
		return nil
	}
	w := closure.New(s.rootDir())
	if err := w.Add(keep); err != nil {
		return err
	}
	if err := s.retain(w.Keep); err != nil {
		return err
	}
	return s.addLinks(w.Links)
}

func (s *stage) addLinks(links map[string]string) error {
	for p, target := range links {
		if s.entries[p] != nil {
			continue
		}
		if err := s.symlink(p, target); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry copies one file, directory or link from the host and gives the bytes that it took.
func (s *stage) copyEntry(host, p string, strip bool) (int64, error) {
	if !utf8.ValidString(p) {
		return 0, fmt.Errorf("%q: name is not UTF-8", p)
	}
	info, err := os.Lstat(host)
	if err != nil {
		return 0, err
	}
	switch mode := info.Mode(); mode.Type() {
	case fs.ModeDir:
		return 0, s.mkdir(p)
	case fs.ModeSymlink:
		target, err := os.Readlink(host)
		if err != nil {
			return 0, err
		}
		return 0, s.symlink(p, target)
	case 0:
		if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && !strip {
			return 0, fmt.Errorf("%q: set-user-ID or set-group-ID file: clear the bit with chmod ug-s", host)
		}
		f, err := os.OpenFile(host, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if info, err = f.Stat(); err != nil {
			return 0, err
		}
		return info.Size(), s.file(p, mode&0o111 != 0, info.Size(), f)
	}
	return 0, fmt.Errorf("%q: a root has no devices, fifos or sockets of its own: remove it", host)
}
