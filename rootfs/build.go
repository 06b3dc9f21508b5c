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

	"mmbox/models"
	"mmbox/rootfs/closure"
	"mmbox/rootfs/origin"
	"mmbox/rootfs/tree"
)

// ErrNotSupported is matched by the error for a kind of layer that this version does not read.
var ErrNotSupported = errors.New("not supported yet by this version")

// A Builder makes trees of a manifest's layers.
type Builder struct {
	Trees  *tree.Store
	Limits Limits // on every archive and directory
}

// A build is the making of one layer's tree.
type build struct {
	*tree.Stage
	ctx    context.Context //nolint:containedctx // lives within one call
	limits Limits
	in     *input
}

// Build makes the tree of a layer and gives its digest. Relative paths of the layer start at base. A tree that exists
// is not made again; a layer whose inputs have not changed since it was built is not even read again. Nothing of the
// layer is executed.
func (b Builder) Build(ctx context.Context, layer models.Layer, base string) (models.Digest, error) {
	from, err := origin.Find(base, layer.Dir+layer.Tar) // at most one of them is set
	if err != nil {
		return "", fmt.Errorf("layer %s: %w", layerName(layer), err)
	}
	in := b.input(layer, from.Base, from.Rel)
	if d, ok := in.cached(); ok && b.Trees.Has(d) {
		return d, nil
	}
	in.begin()
	s, err := b.Trees.NewStage(ctx)
	if err != nil {
		return "", err
	}
	d, err := (&build{s, ctx, b.Limits, in}).tree(layer, from)
	if err = errors.Join(err, s.Discard()); err != nil {
		return "", fmt.Errorf("layer %s: %w", layerName(layer), err)
	}
	if err := in.remember(d); err != nil {
		return "", fmt.Errorf("layer %s: %w", layerName(layer), err)
	}
	return d, nil
}

func (b *build) tree(layer models.Layer, from origin.Origin) (models.Digest, error) {
	var err error
	switch {
	case layer.Dir != "":
		err = b.copyDir(from, layer.Keep)
	case layer.Closure != nil:
		err = b.copyHost(layer.Closure)
	case layer.Tar != "":
		if err = b.unpackTar(from, layer); err == nil {
			err = b.prune(layer.Keep)
		}
	case layer.Debs != nil:
		if err = b.unpackDebs(layer.Debs); err == nil {
			err = b.prune(layer.Keep)
		}
	case layer.OCI != "" || layer.Image != "":
		err = fmt.Errorf("%w: use debs, closure, tar or dir", ErrNotSupported)
	default:
		err = errors.New("names no source: write one of debs, closure, tar and dir")
	}
	if err != nil {
		return "", err
	}
	return b.Commit()
}

// unpackTar unpacks an archive. Set-user-ID files are refused, unless keep chooses among the files: then nobody asked
// for that one to be so.
func (b *build) unpackTar(from origin.Origin, layer models.Layer) error {
	b.in.stamp(from.Path())
	f, err := from.OpenFile()
	if err != nil {
		return err
	}
	defer f.Close()
	u := b.unpacker()
	u.strip = len(layer.Keep) > 0
	return u.unpackFile(f, layer.SHA256)
}

func (b *build) unpacker() *unpacker { return &unpacker{Stage: b.Stage, ctx: b.ctx, limits: b.limits} }

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

// copyDir copies a directory, or what keep names of it with what those programs need.
func (b *build) copyDir(from origin.Origin, keep []string) error {
	dir, err := from.OpenDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	if len(keep) > 0 {
		return b.copyKept(dir, closure.New(dir.Path), keep)
	}
	copied := int64(0)
	return filepath.WalkDir(dir.Path, func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		b.in.stamp(host)
		if b.Len() > b.limits.Entries {
			return fmt.Errorf("more than %d entries: leave out what the model does not need", b.limits.Entries)
		}
		n, err := b.copyEntry(dir, path.Join("/", strings.TrimPrefix(host, dir.Path)), false)
		if copied += n; err == nil && copied > b.limits.Bytes {
			err = fmt.Errorf("more than %d bytes", b.limits.Bytes)
		}
		return err
	})
}

// copyHost copies programs of this host with what they need.
func (b *build) copyHost(programs []string) error {
	host, err := origin.Host()
	if err != nil {
		return err
	}
	defer host.Close()
	return b.copyKept(host, closure.New(host.Path), programs)
}

// copyKept copies what a walk keeps for the paths, out of the walk's root.
func (b *build) copyKept(from *origin.Place, w *closure.Walk, paths []string) error {
	if err := w.Add(paths); err != nil {
		return err
	}
	for dir := range w.Searched {
		if real, _, err := w.Resolve(dir); err == nil {
			dir = real
		}
		b.in.stamp(w.On(dir))
	}
	for _, p := range paths {
		if real, _, err := w.Resolve(p); err == nil {
			from.Whole = append(from.Whole, real)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(w.Keep)) {
		b.in.stamp(w.On(p))
		if _, err := b.copyEntry(from, p, true); err != nil {
			return err
		}
	}
	return b.addLinks(w.Links)
}

// prune leaves of an unpacked stage what keep names and those programs need, if keep names anything.
func (b *build) prune(keep []string) error {
	if len(keep) == 0 {
		return nil
	}
	w := closure.New(b.RootDir())
	if err := w.Add(keep); err != nil {
		return err
	}
	if err := b.Retain(w.Keep); err != nil {
		return err
	}
	return b.addLinks(w.Links)
}

func (b *build) addLinks(links map[string]string) error {
	for p, target := range links {
		if b.Has(p) {
			continue
		}
		if err := b.Symlink(p, target); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry copies one file, directory or link and gives the bytes that it took.
func (b *build) copyEntry(from *origin.Place, p string, strip bool) (int64, error) {
	if !utf8.ValidString(p) {
		return 0, fmt.Errorf("%q: name is not UTF-8", p)
	}
	host := filepath.Join(from.Path, p)
	info, err := os.Lstat(host)
	if err != nil {
		return 0, err
	}
	switch mode := info.Mode(); mode.Type() {
	case fs.ModeDir:
		if err := from.Allow(p, info); err != nil {
			return 0, err
		}
		return 0, b.Mkdir(p)
	case fs.ModeSymlink:
		target, err := os.Readlink(host)
		if err != nil {
			return 0, err
		}
		return 0, b.Symlink(p, target)
	case 0:
		if mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && !strip {
			return 0, fmt.Errorf("%q: set-user-ID or set-group-ID file: clear the bit with chmod ug-s", host)
		}
		f, info, err := from.Open(p)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return info.Size(), b.File(p, mode&0o111 != 0, info.Size(), f)
	}
	return 0, fmt.Errorf("%q: a root has no devices, fifos or sockets of its own: remove it", host)
}
