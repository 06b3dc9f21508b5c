package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mmbox/models"
	"mmbox/rootfs/tree"
	"mmbox/runtime"
)

// names checks how many names a verb was given and returns them. most is -1 for any number.
func names(c *cli.Context, least, most int) ([]string, error) {
	got := c.Args().Slice()
	if len(got) < least || most >= 0 && len(got) > most {
		return nil, &usage{fmt.Sprintf("usage: mmbox %s %s", c.Command.Name, c.Command.ArgsUsage)}
	}
	return got, nil
}

func (m *mmbox) store() (*models.Store, error) { return models.Open(m.settings.root) }

func (m *mmbox) dir() (runtime.Dir, error) { return runtime.OpenDir(m.settings.state) }

// filters is where compiled system call filters are kept.
func (m *mmbox) filters() string { return filepath.Join(m.settings.root, "filters") }

// An installed model, with the root file system that runs it, kept from removal until close.
type installed struct {
	*models.Model
	root  string
	close func() error
}

// find opens a model for use.
func (m *mmbox) find(ctx context.Context, ref string) (_ *installed, err error) {
	store, err := m.store()
	if err != nil {
		return nil, err
	}
	unlock, err := store.RLock(ctx)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	in := &installed{close: func() error { return errors.Join(unlock(), store.Close()) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	if in.Model, err = store.Find(ref); err != nil {
		return nil, err
	}
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		return nil, err
	}
	if !trees.Has(in.Root) {
		return nil, withHint(fmt.Errorf("model %q: its root file system is gone: %w", ref, models.ErrDamaged),
			"install it again: mmbox install %s", in.Source)
	}
	in.root = trees.Root(in.Root)
	return in, reachable(in.root)
}

// reachable returns an error for a directory that a sandbox's user, who is nobody on the host, cannot get to.
func reachable(path string) error {
	for dir := path; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return withHint(fmt.Errorf("root file system %s: directory %s cannot be searched by others, and a sandbox's user is nobody on the host", path, dir),
				"chmod o+x %s, or keep models elsewhere with --root", dir)
		}
	}
	return nil
}
