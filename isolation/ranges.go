package isolation

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// A Range is a block of user and group ids of the host that one sandbox has for itself. Id n inside is First+n outside.
type Range struct {
	First uint32 `json:"first"`
	Size  uint32 `json:"size"`
}

// The block lies above what systemd gives to containers (524288 to 1879048191) and below its foreign ids (from
// 2147352576), so no other tool hands out the same ids.
// Source: https://systemd.io/UIDS-GIDS
const (
	blockFirst = 1879048192
	blockEnd   = 2147352576
	rangeSize  = 65536
	rangeCount = (blockEnd - blockFirst) / rangeSize
)

// ErrNoRange says that every range is taken.
var ErrNoRange = errors.New("no free range of user ids")

// Ranges is a directory with a symbolic link per range in use, named by the range's number and leading to its owner: the
// directory of a sandbox. A link is made whole in one step, so two callers never get the same range, and one that leads
// nowhere is free again.
type Ranges string

// Take takes a free range for an owner, an absolute path that exists. The search starts at a place derived from the
// path, so that it stays short however many are taken. It returns ErrNoRange, wrapped, where none is left.
func (r Ranges) Take(owner string) (Range, error) {
	if err := os.MkdirAll(string(r), 0o700); err != nil {
		return Range{}, fmt.Errorf("take user ids: %w", err)
	}
	start := fnv.New32a()
	start.Write([]byte(owner))
	for i := range uint32(rangeCount) {
		n := (start.Sum32()%rangeCount + i) % rangeCount
		err := os.Symlink(owner, r.file(n))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return Range{}, fmt.Errorf("take user ids: %w", err)
		}
		return Range{First: blockFirst + n*rangeSize, Size: rangeSize}, nil
	}
	return Range{}, fmt.Errorf("take user ids for %s: %w: all %d are in use; remove sandboxes with mmbox rm or mmbox gc", owner, ErrNoRange, rangeCount)
}

// Free gives a range back, if it is still the owner's. Freeing a free range does nothing.
func (r Ranges) Free(owner string, of Range) error {
	if of.Size == 0 {
		return nil
	}
	file := r.file((of.First - blockFirst) / rangeSize)
	holder, err := os.Readlink(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && holder != owner {
		return nil
	}
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		return fmt.Errorf("free user ids of %s: %w", owner, err)
	}
	return nil
}

// Sweep frees the ranges whose owners no longer exist and returns those owners.
func (r Ranges) Sweep() ([]string, error) {
	entries, err := os.ReadDir(string(r))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list user ids: %w", err)
	}
	var gone []string
	for _, e := range entries {
		file := filepath.Join(string(r), e.Name())
		owner, err := os.Readlink(file)
		if err != nil {
			continue // freed since, or not ours
		}
		if _, err := os.Stat(owner); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return gone, fmt.Errorf("free user ids of %s: %w", owner, err)
		}
		gone = append(gone, owner)
	}
	return gone, nil
}

func (r Ranges) file(n uint32) string {
	return filepath.Join(string(r), strconv.FormatUint(uint64(n), 10))
}

// FirstRange is the first range of the block, for a specification that is written down and not run here.
func FirstRange() Range { return Range{First: blockFirst, Size: rangeSize} }
