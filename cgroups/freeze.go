package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A freezeFile is where a hierarchy takes the wish to freeze a group.
type freezeFile struct {
	path            string
	freeze, release string
}

// freezeFiles returns the files that freeze the group: on version 1 the freezer's, on version 2 the group's own.
func (g Group) freezeFiles() []freezeFile {
	if g.host.Mode == V2 {
		if dir, ok := g.v2(); ok && present(dir, "cgroup.freeze") {
			return []freezeFile{{filepath.Join(dir, "cgroup.freeze"), "1", "0"}}
		}
		return nil
	}
	if dir, ok := g.dir("freezer"); ok {
		return []freezeFile{{filepath.Join(dir, "freezer.state"), "FROZEN", "THAWED"}}
	}
	return nil
}

// setFrozen asks for all or none to be frozen. A group that has ended is as wished.
func setFrozen(files []freezeFile, frozen bool) error {
	for _, f := range files {
		value := f.release
		if frozen {
			value = f.freeze
		}
		if err := write(f.path, value); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// Freeze stops every process of the group and returns when all are stopped. When ctx ends first they run again and its
// error is returned: a process that waits for a disk cannot be stopped before the disk answers.
func (g Group) Freeze(ctx context.Context) error {
	files := g.freezeFiles()
	if len(files) == 0 {
		return fmt.Errorf("freeze cgroup %q: the group or the freezer does not exist: %w", g.path, os.ErrNotExist)
	}
	err := setFrozen(files, true)
	if err == nil {
		err = g.waitFrozen(ctx, files[0])
	}
	if err != nil {
		return fmt.Errorf("freeze cgroup %q: %w", g.path, errors.Join(err, setFrozen(files, false)))
	}
	return nil
}

// Thaw lets every process of the group go on.
func (g Group) Thaw() error {
	files := g.freezeFiles()
	if len(files) == 0 {
		return fmt.Errorf("thaw cgroup %q: the group or the freezer does not exist: %w", g.path, os.ErrNotExist)
	}
	if err := setFrozen(files, false); err != nil {
		return fmt.Errorf("thaw cgroup %q: %w", g.path, err)
	}
	return nil
}

// frozenInterval is how often version 1's freezer is asked: it tells nobody when it is done.
const frozenInterval = time.Millisecond

func (g Group) waitFrozen(ctx context.Context, file freezeFile) error {
	if g.host.Mode == V2 {
		return g.waitEvent(ctx, "frozen 1")
	}
	ticker := time.NewTicker(frozenInterval)
	defer ticker.Stop()
	for {
		state, err := os.ReadFile(file.path)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(state)) == "FROZEN" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
