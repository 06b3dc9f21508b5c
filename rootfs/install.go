package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

// An Event tells what an install is about to do.
type Event struct {
	Step string // such as: layer 1 of 2: debs fasttext
}

// Options of Install.
type Options struct {
	Progress func(Event) // may be nil; called from the goroutine of Install
	Limits   Limits      // zero: DefaultLimits
}

// ErrUpToDate says that the very same model is installed already: nothing was changed, and all is well.
var ErrUpToDate = errors.New("already installed, with the same content")

// Install puts the model that source describes into the store: a directory with a model.yaml, or the path of one. It
// either adds the whole model or leaves only garbage that Sweep removes. For a model that is there already with the same
// content it gives that model and an error that ErrUpToDate matches; with other content, one that models.ErrExists
// matches. It holds the store's RLock, so that any number of installs may run at once.
func Install(ctx context.Context, store *models.Store, source string, o Options) (*models.Model, error) {
	in := &installation{ctx: ctx, store: store, progress: o.Progress}
	if in.progress == nil {
		in.progress = func(Event) {}
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	file, err := manifestFile(source)
	if err != nil {
		return nil, fmt.Errorf("install %q: %w", source, err)
	}
	in.base = filepath.Dir(file)
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		return nil, fmt.Errorf("install %q: %w", source, err)
	}
	in.builder = Builder{Trees: trees, Limits: o.Limits}
	unlock, err := store.RLock(ctx)
	if err != nil {
		return nil, fmt.Errorf("install %q: %w", source, err)
	}
	m, err := in.run(file)
	if err = errors.Join(err, unlock()); err != nil {
		err = fmt.Errorf("install %q: %w", source, err)
	}
	return m, err
}

func manifestFile(source string) (string, error) {
	file, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		file = filepath.Join(file, models.ManifestName)
		if _, err = os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("the directory has no %s: name the directory of a model", models.ManifestName)
		}
	}
	return file, err
}

// An installation is one call of Install.
type installation struct {
	ctx      context.Context //nolint:containedctx // lives within one call
	store    *models.Store
	builder  Builder
	base     string
	progress func(Event)
}

func (in *installation) run(file string) (*models.Model, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	manifest, err := models.Load(file)
	if err != nil {
		return nil, err
	}
	m := &models.Model{Manifest: *manifest, Source: file, Files: map[string]models.Blob{}, Golden: map[string]models.Blob{}}
	if err := in.blobs(m); err != nil {
		return nil, err
	}
	if err := in.layers(m); err != nil {
		return nil, err
	}
	if m.Digest, err = models.ModelDigest(m.Manifest, m.Layers, m.Files, m.Golden); err != nil {
		return nil, err
	}
	if old, err := in.installed(m); old != nil || err != nil {
		return old, err
	}
	if err := in.root(m); err != nil {
		return nil, err
	}
	m.Installed = time.Now().UTC()
	if err := in.store.Add(m, text); errors.Is(err, models.ErrExists) {
		if old, err := in.installed(m); old != nil || err != nil { // another install was faster
			return old, err
		}
		return nil, err
	} else if err != nil {
		return nil, err
	}
	return m, nil
}

// installed gives the model of that name and version with ErrUpToDate, if it is the same and complete. If it is not the
// same, the error says so. Neither is there for a model that is not installed.
func (in *installation) installed(m *models.Model) (*models.Model, error) {
	ref := m.Manifest.Name + "@" + m.Manifest.Version
	old, err := in.store.Find(ref)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case old.Digest != m.Digest:
		return nil, fmt.Errorf("%s is %w, with other content: raise the version in %s, or mmbox remove %s first",
			ref, models.ErrExists, models.ManifestName, ref)
	case !in.builder.Trees.Has(old.Root):
		return nil, in.root(old) // the root was lost; the layers are there
	}
	return old, fmt.Errorf("%s: %w", ref, ErrUpToDate)
}

// blobs stores the files of the manifest and the inputs of its golden cases.
func (in *installation) blobs(m *models.Model) error {
	for _, p := range slices.Sorted(maps.Keys(m.Manifest.Files)) {
		f := m.Manifest.Files[p]
		b, err := in.blob(f.Source, models.DigestFromHex(f.SHA256))
		if err != nil {
			return fmt.Errorf("file %q: %w", p, err)
		}
		m.Files[p] = b
	}
	for _, g := range m.Manifest.Golden {
		if g.InputFile == "" {
			continue
		}
		b, err := in.blob(g.InputFile, "")
		if err != nil {
			return fmt.Errorf("golden input %q: %w", g.InputFile, err)
		}
		m.Golden[g.InputFile] = b
	}
	return nil
}

// blob stores a file, unless it is there and the source has not changed since.
func (in *installation) blob(source string, want models.Digest) (models.Blob, error) {
	if models.IsRemote(source) {
		return models.Blob{}, fmt.Errorf("%q: an address is %w: fetch it to a file beside the manifest", source, ErrNotSupported)
	}
	if err := in.ctx.Err(); err != nil {
		return models.Blob{}, context.Cause(in.ctx)
	}
	// The source lies inside the manifest's directory, links included: a manifest must not pull in others of the host.
	root, err := os.OpenRoot(in.base)
	if err != nil {
		return models.Blob{}, err
	}
	defer root.Close()
	file := filepath.Join(in.base, source)
	memory := in.builder.input("blob", file)
	if d, ok := memory.cached(); ok && (want == "" || want == d) {
		if b, err := in.store.Blob(d); err == nil {
			return b, nil
		}
	}
	in.progress(Event{Step: "file " + source})
	memory.begin()
	memory.stamp(file)
	f, err := root.OpenFile(source, os.O_RDONLY|unix.O_NONBLOCK, 0) // opening a fifo would wait for its writer
	if err != nil {
		return models.Blob{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return models.Blob{}, err
	} else if !info.Mode().IsRegular() {
		return models.Blob{}, fmt.Errorf("%q is not a regular file", source)
	}
	b, err := in.store.PutBlob(&cancelled{in.ctx, f}, want)
	if err != nil {
		return models.Blob{}, err
	}
	if info, err := root.Lstat(source); err == nil && info.Mode().IsRegular() { // the stamp of a link does not show a change
		err = memory.remember(b.Digest)
		return b, err
	}
	return b, nil
}

// cancelled reads until a context is done.
type cancelled struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to be told
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

func (in *installation) layers(m *models.Model) error {
	for i, layer := range m.Manifest.RootFS {
		if models.IsRemote(layer.Tar) {
			return fmt.Errorf("layer tar %q: an address is %w: fetch it to a file", layer.Tar, ErrNotSupported)
		}
		in.progress(Event{Step: fmt.Sprintf("layer %d of %d: %s", i+1, len(m.Manifest.RootFS), layerName(layer))})
		d, err := in.builder.Build(in.ctx, layer, in.base)
		if err != nil {
			return err
		}
		m.Layers = append(m.Layers, d)
	}
	return nil
}

// root merges the layers and checks that what the entrypoints need is there.
func (in *installation) root(m *models.Model) error {
	in.progress(Event{Step: "root of " + m.Manifest.Name})
	files := make(map[string]tree.Named, len(m.Files))
	for p, b := range m.Files {
		files[p] = tree.Named{Blob: b, Path: in.store.BlobPath(b.Digest)}
	}
	root, err := in.builder.Trees.Merge(in.ctx, m.Layers, files)
	if err != nil {
		return err
	}
	m.Root = root
	return CheckEntrypoints(in.builder.Trees, root, &m.Manifest)
}
