package models

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Verify reads all of a model's own blobs and its manifest again and gives an error for each that is not what was installed.
// Its trees are package rootfs's to verify.
func (s *Store) Verify(m *Model) []error {
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("verify model %q: %w", m.Manifest.Name+"@"+m.Manifest.Version, err))
		}
	}
	for _, blobs := range []map[string]Blob{m.Files, m.Golden} {
		for _, name := range slices.Sorted(maps.Keys(blobs)) {
			note(s.verifyBlob(name, blobs[name]))
		}
	}
	note(s.verifyManifest(m))
	digest, err := ModelDigest(m.Manifest, m.Layers, m.Files, m.Golden)
	if err == nil && digest != m.Digest {
		err = fmt.Errorf("%s: %w: expected digest %s, got %s; install the model again", modelFile, ErrDamaged, m.Digest, digest)
	}
	note(err)
	return wrong
}

// verifyManifest holds the manifest's text against what the model's record says it was.
func (s *Store) verifyManifest(m *Model) error {
	text, err := s.dir.ReadFile(modelPath(m.Manifest.Name, m.Manifest.Version) + "/" + ManifestName)
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

// verifyBlob says how a stored blob differs from what it should be.
func (s *Store) verifyBlob(name string, want Blob) error {
	content, err := s.dir.Hash(blobFile(want.Digest))
	switch got := blobOf(content); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("file %q: %w: blob %s is missing; install the model again", name, ErrDamaged, want.Digest)
	case err != nil:
		return fmt.Errorf("file %q: %w", name, err)
	case got != want:
		return fmt.Errorf("file %q: %w: expected %s (%d bytes), got %s (%d bytes); install the model again",
			name, ErrDamaged, want.Digest, want.Size, got.Digest, got.Size)
	}
	return nil
}
