package models

import (
	"fmt"
	"slices"

	"mmbox/models/internal/disk"
)

// Garbage is what a store holds and no model names: what a removed model left, or an install that was broken off.
type Garbage struct {
	Blobs []Blob `json:"blobs"`
	Temps []Temp `json:"temps"`
}

// A Temp is an unfinished file or directory of a store.
type Temp = disk.Temp

// Size is what the garbage takes in bytes. What a tree still links to is freed only with the tree.
func (g Garbage) Size() int64 {
	var sum int64
	for _, b := range g.Blobs {
		sum += b.Size
	}
	for _, t := range g.Temps {
		sum += t.Size
	}
	return sum
}

// Garbage finds what Sweep would remove. The caller holds RLock or Lock, or finds what others are just making.
func (s *Store) Garbage() (Garbage, error) {
	live, err := s.liveBlobs()
	if err != nil {
		return Garbage{}, err
	}
	var g Garbage
	for _, dir := range []string{blobsDir, modelsDir} {
		temps, err := s.dir.Temps(dir)
		if err != nil {
			return Garbage{}, fmt.Errorf("find garbage: %w", err)
		}
		g.Temps = append(g.Temps, temps...)
	}
	names, err := s.dir.Names(blobsDir)
	if err != nil {
		return Garbage{}, fmt.Errorf("find garbage: %w", err)
	}
	for _, name := range names {
		d := Digest(digestPrefix + name)
		if d.Validate() != nil || live[d] { // what has no blob's name is not ours
			continue
		}
		b, err := s.Blob(d)
		if err != nil {
			return Garbage{}, fmt.Errorf("find garbage: %w", err)
		}
		g.Blobs = append(g.Blobs, b)
	}
	return g, nil
}

// Sweep removes the garbage and gives what it removed, also beside an error. The caller holds Lock. Trees that no model
// names, see Trees, are package rootfs's to sweep.
func (s *Store) Sweep() (Garbage, error) {
	found, err := s.Garbage()
	if err != nil {
		return Garbage{}, err
	}
	var gone Garbage
	for _, t := range found.Temps {
		if err := s.dir.Remove(t.Path); err != nil {
			return gone, fmt.Errorf("sweep: %w", err)
		}
		gone.Temps = append(gone.Temps, t)
	}
	for _, b := range found.Blobs {
		if err := s.dir.Remove(blobFile(b.Digest)); err != nil {
			return gone, fmt.Errorf("sweep: %w", err)
		}
		gone.Blobs = append(gone.Blobs, b)
	}
	return gone, nil
}

// Trees gives the digests of all trees that models name, layers and roots, sorted, each once. It fails where a model is
// damaged, since nobody knows what that one names.
func (s *Store) Trees() ([]Digest, error) {
	found, err := s.List()
	if err != nil {
		return nil, fmt.Errorf("find trees in use: %w", err)
	}
	var trees []Digest
	for _, m := range found {
		trees = append(append(trees, m.Layers...), m.Root)
	}
	slices.Sort(trees)
	return slices.Compact(trees), nil
}

func (s *Store) liveBlobs() (map[Digest]bool, error) {
	found, err := s.List()
	if err != nil { // nobody knows what a damaged model names
		return nil, fmt.Errorf("find blobs in use: %w", err)
	}
	live := map[Digest]bool{}
	for _, m := range found {
		for _, b := range m.Files {
			live[b.Digest] = true
		}
		for _, b := range m.Golden {
			live[b.Digest] = true
		}
	}
	return live, nil
}
