package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

const modelFile = "model.json" // beside ManifestName in models/NAME/VERSION

// List gives the installed models by name and version, the oldest first. Damaged ones are left out and named by the error,
// so both results count. An absent store has none.
func (s *Store) List() ([]Model, error) {
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := entries(root, modelsDir)
	if err != nil {
		return nil, s.explain("list models", err)
	}
	var found []Model
	var damaged []error
	for _, name := range names {
		versions, err := s.versions(root, name)
		if err != nil {
			damaged = append(damaged, err)
		}
		for _, version := range versions {
			m, err := readModel(root, name, version)
			switch {
			case errors.Is(err, ErrNotFound): // removed meanwhile
			case err != nil:
				damaged = append(damaged, err)
			default:
				found = append(found, *m)
			}
		}
	}
	return found, errors.Join(damaged...)
}

// Find gives the model that a reference names: NAME@VERSION, or NAME for the newest version.
func (s *Store) Find(ref string) (*Model, error) {
	name, version, err := ParseRef(ref)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(ref, "none is installed, mmbox install DIR installs one")
	}
	if err != nil {
		return nil, err
	}
	versions, err := s.versions(root, name)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, s.suggest(root, ref, name)
	}
	if version == "" {
		version = current(versions)
	}
	m, err := readModel(root, name, version)
	if errors.Is(err, ErrNotFound) {
		return nil, notFound(ref, "installed is "+strings.Join(versions, ", "))
	}
	return m, err
}

// current is the version that a name alone means. versions are in order and not empty.
func current(versions []string) string { return versions[len(versions)-1] }

func notFound(ref, hint string) error {
	return fmt.Errorf("open model %q: %w; %s", ref, ErrNotFound, hint)
}

// suggest says that there is no model of a name, and which may have been meant.
func (s *Store) suggest(root *os.Root, ref, name string) error {
	names, err := entries(root, modelsDir)
	if err != nil {
		return s.explain("list models", err)
	}
	if near := nearest(name, names); near != "" {
		return notFound(ref, fmt.Sprintf("did you mean %q?", near))
	}
	return notFound(ref, "mmbox models lists those installed")
}

// Add records a model, all of it or nothing: m as it is, and the manifest's own text, whose blobs must be in the store.
// What is installed under the same name and version stays, and is an error that ErrExists matches.
func (s *Store) Add(m *Model, manifest []byte) error {
	name, version := m.Manifest.Name, m.Manifest.Version
	if err := m.validate(); err != nil {
		return fmt.Errorf("add model %q: %w", name+"@"+version, err)
	}
	for _, blobs := range []map[string]Blob{m.Files, m.Golden} {
		for file, want := range blobs {
			if got, err := s.Blob(want.Digest); err != nil || got != want {
				return fmt.Errorf("add model %q: file %q: blob %s of %d bytes is not in the store", name, file, want.Digest, want.Size)
			}
		}
	}
	record, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("add model %q: %w", name, err)
	}
	root, err := s.open(true)
	if err != nil {
		return err
	}
	if err := s.makeDir(root, modelsDir+"/"+name); err != nil {
		return err
	}
	if err := addDir(root, modelPath(name, version), map[string][]byte{ManifestName: manifest, modelFile: append(record, '\n')}); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("add model %q: %w; remove it first with mmbox remove %s, or write another version", name+"@"+version, ErrExists, name)
		}
		return s.explain("write model "+name, err)
	}
	return nil
}

// addDir makes a directory with files appear at once, in a directory that exists. Where one is already, it stays, and the
// error matches fs.ErrExist.
func addDir(root *os.Root, dir string, files map[string][]byte) (err error) {
	temp := tempName(modelsDir)
	defer func() {
		if temp != "" {
			err = errors.Join(err, root.RemoveAll(temp))
		}
	}()
	if err := root.Mkdir(temp, 0o755); err != nil {
		return err
	}
	if err := root.Chmod(temp, 0o755); err != nil {
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
	if err := root.Rename(temp, dir); err != nil { // onto a directory that is not empty: EEXIST or ENOTEMPTY, both fs.ErrExist
		return err
	}
	temp = ""
	return errors.Join(syncDir(root, parent(dir)), syncDir(root, modelsDir))
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

// Remove forgets a model, damaged or not, at once. Its blobs and trees stay until they are swept. The caller holds Lock
// and has seen that nothing uses the model.
func (s *Store) Remove(name, version string) error {
	ref := name + "@" + version
	if _, _, err := ParseRef(ref); err != nil {
		return fmt.Errorf("remove model: %w", err)
	}
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove model %q: %w", ref, ErrNotFound)
	}
	if err != nil {
		return err
	}
	temp := tempName(modelsDir)
	switch err := root.Rename(modelPath(name, version), temp); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("remove model %q: %w; mmbox models lists those installed", ref, ErrNotFound)
	case err != nil:
		return s.explain("remove model "+ref, err)
	}
	if err := syncDir(root, modelsDir+"/"+name); err != nil {
		return s.explain("remove model "+ref, err)
	}
	if err := root.RemoveAll(temp); err != nil {
		return s.explain("remove model "+ref, err)
	}
	if err := root.Remove(modelsDir + "/" + name); err != nil && !errors.Is(err, fs.ErrExist) { // another version is left
		return s.explain("remove model "+ref, err)
	}
	return nil
}

// Verify reads all of a model's own blobs and its manifest again and gives an error for each that is not what was installed.
// Its trees are package rootfs's to verify.
func (s *Store) Verify(m *Model) []error {
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("verify model %q: %w", m.Manifest.Name+"@"+m.Manifest.Version, err))
		}
	}
	root, err := s.open(false)
	if err != nil {
		note(err)
		return wrong
	}
	for _, blobs := range []map[string]Blob{m.Files, m.Golden} {
		for _, name := range slices.Sorted(maps.Keys(blobs)) {
			note(s.verifyBlob(root, name, blobs[name]))
		}
	}
	note(verifyManifest(root, m))
	digest, err := ModelDigest(m.Manifest, m.Layers, m.Files, m.Golden)
	if err == nil && digest != m.Digest {
		err = fmt.Errorf("%s: %w: expected digest %s, got %s; install the model again", modelFile, ErrDamaged, m.Digest, digest)
	}
	note(err)
	return wrong
}

// verifyManifest holds the manifest's text against what the model's record says it was.
func verifyManifest(root *os.Root, m *Model) error {
	text, err := root.ReadFile(modelPath(m.Manifest.Name, m.Manifest.Version) + "/" + ManifestName)
	if err != nil {
		return fmt.Errorf("%s: %w: %w; install the model again", ManifestName, ErrDamaged, err)
	}
	parsed, err := Parse(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w: %w; install the model again", ManifestName, ErrDamaged, err)
	}
	got, err := ModelDigest(*parsed, nil, nil, nil)
	if err != nil {
		return err
	}
	want, err := ModelDigest(m.Manifest, nil, nil, nil)
	if err == nil && got != want {
		err = fmt.Errorf("%s: %w: it says something else than when it was installed; install the model again", ManifestName, ErrDamaged)
	}
	return err
}

// validate refuses a model that could not be read back.
func (m *Model) validate() error {
	if err := CheckName(m.Manifest.Name); err != nil {
		return err
	}
	if err := CheckVersion(m.Manifest.Version); err != nil {
		return err
	}
	digests := append([]Digest{m.Digest, m.Root}, m.Layers...)
	for _, blobs := range []map[string]Blob{m.Files, m.Golden} {
		for _, b := range blobs {
			digests = append(digests, b.Digest)
		}
	}
	for _, d := range digests {
		if err := d.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// readModel reads a model's record. Where there is none, the error matches ErrNotFound.
func readModel(root *os.Root, name, version string) (*Model, error) {
	ref := name + "@" + version
	dir := modelPath(name, version)
	if _, err := root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open model %q: %w", ref, ErrNotFound)
	}
	m := new(Model)
	content, err := root.ReadFile(dir + "/" + modelFile)
	if err == nil {
		err = json.Unmarshal(content, m)
	}
	if err == nil {
		err = m.validate()
	}
	if err == nil && (m.Manifest.Name != name || m.Manifest.Version != version) {
		err = fmt.Errorf("it says that it is %s@%s", m.Manifest.Name, m.Manifest.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("open model %q: %w: %s: %w; remove it with mmbox remove %s and install it again", ref, ErrDamaged, modelFile, err, ref)
	}
	return m, nil
}

// versions gives the installed versions of a name in order; none is no error.
func (s *Store) versions(root *os.Root, name string) ([]string, error) {
	versions, err := entries(root, modelsDir+"/"+name)
	if err != nil {
		return nil, s.explain("list versions of "+name, err)
	}
	slices.SortFunc(versions, CompareVersions)
	return versions, nil
}

// entries gives the names in a directory of the store, sorted, temporary ones left out; none where it is absent.
func entries(root *os.Root, dir string) ([]string, error) {
	all, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func modelPath(name, version string) string { return modelsDir + "/" + name + "/" + version }

func parent(path string) string { return path[:strings.LastIndexByte(path, '/')] }
