package tree

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mmbox/models"
)

// skeleton are the directories that every root has: a sandbox whose user namespace does not own the root cannot make
// mount points in it. /run is for the socket of a server.
var skeleton = []string{"/dev", "/etc", "/proc", "/run", "/tmp"}

// mountPoints must be directories where a root has them, for what is mounted on a link lands elsewhere.
var mountPoints = []string{"/dev", "/etc", "/proc", "/run", "/sys", "/tmp"}

// skeletonFiles are there unless a layer brings its own: programs ask for the name of their user, and for localhost.
var skeletonFiles = map[string]string{
	"/etc/passwd": "root:x:0:0:root:/:/bin/sh\nmodel:x:1000:1000:model:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
	"/etc/group":  "root:x:0:\nmodel:x:1000:\nnogroup:x:65534:\n",
	"/etc/hosts":  "127.0.0.1 localhost\n::1 localhost\n",
}

// A Named is a file of the store that a merged root has under a name.
type Named struct {
	Blob models.Blob
	Path string // on this host
}

// Merge makes one root of layers, lowest first, and of files by their path in the root, which come last. It links the
// files of the trees and of the store, so that it takes no space of its own, and adds what every sandbox needs: mount
// points and the files of /etc that name users. Later layers win; a directory over a file, or the reverse, is an error.
func (t *Store) Merge(ctx context.Context, layers []models.Digest, files map[string]Named) (models.Digest, error) {
	s, err := t.NewStage(ctx)
	if err != nil {
		return "", err
	}
	d, err := s.merge(layers, files)
	if err = errors.Join(err, s.Discard()); err != nil {
		return "", fmt.Errorf("merge layers: %w", err)
	}
	return d, nil
}

func (s *Stage) merge(layers []models.Digest, files map[string]Named) (models.Digest, error) {
	from := map[string]int{}
	for i, d := range layers {
		l, err := s.trees.Listing(d)
		if err != nil {
			return "", err
		}
		if err := s.overlay(l, s.trees.Root(d), i+1, from); err != nil {
			return "", err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if err := s.place(p, files[p]); err != nil {
			return "", err
		}
	}
	if err := s.addSkeleton(); err != nil {
		return "", err
	}
	return s.Commit()
}

// overlay adds layer number n. from says which layer each entry comes from, for messages.
func (s *Stage) overlay(l Listing, root string, n int, from map[string]int) error {
	for _, p := range l.Packages {
		if !slices.Contains(s.merged, p) {
			s.merged = append(s.merged, p)
		}
	}
	for _, e := range l.Entries {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if old := s.entries[e.Path]; old != nil && old.Kind != e.Kind {
			if old.Kind == Dir || e.Kind == Dir {
				return fmt.Errorf("%q is a %s in layer %d and a %s in layer %d: remove one of the two", e.Path, old.Kind, from[e.Path], e.Kind, n)
			}
			if err := s.remove(e.Path); err != nil {
				return err
			}
		}
		var err error
		switch e.Kind {
		case Dir:
			err = s.Mkdir(e.Path)
		case Link:
			err = s.Symlink(e.Path, e.Target)
		case File:
			err = s.adopt(e.Path, filepath.Join(root, e.Path), e)
		default:
			err = fmt.Errorf("entry %q: kind %q", e.Path, e.Kind)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", n, err)
		}
		from[e.Path] = n
	}
	return nil
}

// place adds a file of the manifest. Its directory may be reached through links of the layers, as in /lib/x where /lib
// is a link to /usr/lib.
func (s *Stage) place(p string, f Named) error {
	dir, err := s.realDir(path.Dir(p))
	if err != nil {
		return fmt.Errorf("file %q: %w", p, err)
	}
	q := path.Join(dir, path.Base(p))
	switch old := s.entries[q]; {
	case old != nil && old.Kind == Dir:
		return fmt.Errorf("file %q: a layer has a directory there: choose another path", p)
	case old != nil && old.Kind == Link:
		if err := s.remove(q); err != nil {
			return err
		}
	}
	e := Entry{Kind: File, Mode: "0444", Size: f.Blob.Size, SHA256: f.Blob.Digest}
	if err := s.adopt(q, f.Path, e); err != nil {
		return fmt.Errorf("file %q: %w", p, err)
	}
	return nil
}

// realDir follows the links of the stage's entries on the way to a directory, as far as it exists.
func (s *Stage) realDir(p string) (string, error) {
	todo, at := strings.Split(p, "/"), "/"
	for links := 0; len(todo) > 0; {
		next := path.Join(at, todo[0])
		todo = todo[1:]
		e := s.entries[next]
		if e == nil || e.Kind == Dir {
			at = next
			continue
		}
		if links++; e.Kind == File || links > maxLinks {
			return "", fmt.Errorf("%q is not a directory", next)
		}
		if path.IsAbs(e.Target) {
			at = "/"
		}
		todo = append(strings.Split(e.Target, "/"), todo...)
	}
	return at, nil
}

const maxLinks = 40 // as in the kernel

func (s *Stage) addSkeleton() error {
	for _, p := range mountPoints {
		if e := s.entries[p]; e != nil && e.Kind != Dir {
			return fmt.Errorf("%q is a %s: a sandbox mounts there, it must be a directory or absent", p, e.Kind)
		}
	}
	for _, p := range skeleton {
		if err := s.Mkdir(p); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(skeletonFiles)) {
		if s.entries[p] != nil {
			continue
		}
		text := skeletonFiles[p]
		if err := s.File(p, false, int64(len(text)), strings.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}
