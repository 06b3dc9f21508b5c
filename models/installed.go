package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"mmbox/models/internal/semver"
	"mmbox/models/internal/spell"
)

const modelFile = "model.json" // beside ManifestName in models/NAME/VERSION

// List gives the installed models by name and version, the oldest first. Damaged ones are left out and named by the error,
// so both results count. An absent store has none.
func (s *Store) List() ([]Model, error) {
	names, err := s.dir.Names(modelsDir)
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	var found []Model
	var damaged []error
	for _, name := range names {
		versions, err := s.versions(name)
		if err != nil {
			damaged = append(damaged, err)
		}
		for _, version := range versions {
			m, err := s.readModel(name, version)
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
	versions, err := s.versions(name)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, s.suggest(ref, name)
	}
	if version == "" {
		version = current(versions)
	}
	m, err := s.readModel(name, version)
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
func (s *Store) suggest(ref, name string) error {
	names, err := s.dir.Names(modelsDir)
	if err != nil {
		return fmt.Errorf("list models: %w", err)
	}
	if len(names) == 0 {
		return notFound(ref, "none is installed, mmbox install DIR installs one")
	}
	if near := spell.Nearest(name, names); near != "" {
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
	err = s.dir.PutDir(modelsDir, modelPath(name, version), map[string][]byte{ManifestName: manifest, modelFile: append(record, '\n')})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("add model %q: %w; remove it first with mmbox remove %s, or write another version", name+"@"+version, ErrExists, name)
	}
	if err != nil {
		return fmt.Errorf("add model %q: %w", name+"@"+version, err)
	}
	return nil
}

// Remove forgets a model, damaged or not, at once. Its blobs and trees stay until they are swept. The caller holds Lock
// and has seen that nothing uses the model.
func (s *Store) Remove(name, version string) error {
	ref := name + "@" + version
	if _, _, err := ParseRef(ref); err != nil {
		return fmt.Errorf("remove model: %w", err)
	}
	err := s.dir.RemoveDir(modelsDir, modelPath(name, version))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove model %q: %w; mmbox models lists those installed", ref, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("remove model %q: %w", ref, err)
	}
	return nil
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
func (s *Store) readModel(name, version string) (*Model, error) {
	ref, m := name+"@"+version, new(Model)
	content, err := s.dir.ReadFile(modelPath(name, version) + "/" + modelFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := s.dir.Size(modelPath(name, version)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open model %q: %w", ref, ErrNotFound)
		}
	}
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
func (s *Store) versions(name string) ([]string, error) {
	versions, err := s.dir.Names(modelsDir + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("list versions of %q: %w", name, err)
	}
	slices.SortFunc(versions, semver.Compare)
	return versions, nil
}

func modelPath(name, version string) string { return modelsDir + "/" + name + "/" + version }
