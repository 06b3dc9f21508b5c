package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Garbage is what a store holds and no model names: what a removed model left, or an install that was broken off.
type Garbage struct {
	Blobs []Blob `json:"blobs"`
	Temps []Temp `json:"temps"`
}

// A Temp is an unfinished file or directory.
type Temp struct {
	Path string `json:"path"` // from the store's directory
	Size int64  `json:"size"` // bytes, of all the files in it
}

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
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return Garbage{}, nil
	}
	if err != nil {
		return Garbage{}, err
	}
	live, err := s.liveBlobs()
	if err != nil {
		return Garbage{}, err
	}
	var g Garbage
	for _, dir := range []string{blobsDir, modelsDir} {
		temps, err := findTemps(root, dir)
		if err != nil {
			return Garbage{}, s.explain("find garbage", err)
		}
		g.Temps = append(g.Temps, temps...)
	}
	names, err := entries(root, blobsDir)
	if err != nil {
		return Garbage{}, s.explain("find garbage", err)
	}
	for _, name := range names {
		info, err := root.Lstat(blobsDir + "/" + name)
		if err != nil {
			return Garbage{}, s.explain("find garbage", err)
		}
		b := Blob{Digest(digestPrefix + name), info.Size()}
		if b.Digest.Validate() == nil && !live[b.Digest] { // what is not a blob's name is not ours
			g.Blobs = append(g.Blobs, b)
		}
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
	root, err := s.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return Garbage{}, nil
	}
	if err != nil {
		return Garbage{}, err
	}
	var gone Garbage
	for _, t := range found.Temps {
		if err := root.RemoveAll(t.Path); err != nil {
			return gone, s.explain("remove "+t.Path, err)
		}
		gone.Temps = append(gone.Temps, t)
	}
	for _, b := range found.Blobs {
		if err := root.Remove(blobFile(b.Digest)); err != nil {
			return gone, s.explain("remove blob "+string(b.Digest), err)
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

func findTemps(root *os.Root, dir string) ([]Temp, error) {
	all, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var temps []Temp
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		t := Temp{Path: dir + "/" + e.Name()}
		err := fs.WalkDir(root.FS(), t.Path, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			t.Size += info.Size()
			return nil
		})
		if err != nil {
			return nil, err
		}
		temps = append(temps, t)
	}
	return temps, nil
}
