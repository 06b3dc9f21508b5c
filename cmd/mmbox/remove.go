package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

var errInUse = errors.New("model is in use")

func (m *mmbox) remove() *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "remove installed models",
		ArgsUsage:   "MODEL...",
		Description: "A model that a sandbox uses is refused. Files that no other model needs are freed by mmbox gc.",
		Action:      m.removeAction,
	}
}

func (m *mmbox) removeAction(c *cli.Context) (err error) {
	refs, err := names(c, 1, -1)
	if err != nil {
		return err
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	unlock, err := store.Lock(c.Context)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	dir, err := m.dir()
	if err != nil {
		return err
	}
	sandboxes, err := dir.List()
	if err != nil {
		return err
	}
	removed := []string{}
	for _, ref := range refs {
		model, err := store.Find(ref)
		if err != nil {
			return err
		}
		if users := using(sandboxes, model.Manifest.Name, model.Manifest.Version); len(users) > 0 {
			return withHint(fmt.Errorf("remove %q: %w by sandbox %s", ref, errInUse, strings.Join(users, ", ")),
				"end it first: mmbox rm --force %s", strings.Join(users, " "))
		}
		if err := store.Remove(model.Manifest.Name, model.Manifest.Version); err != nil {
			return err
		}
		removed = append(removed, model.Manifest.Name+"@"+model.Manifest.Version)
	}
	if m.settings.json {
		return m.json(map[string]any{"removed": removed})
	}
	for _, name := range removed {
		fmt.Fprintln(m.stdout, name)
	}
	return nil
}

func using(sandboxes []*runtime.Sandbox, name, version string) []string {
	var ids []string
	for _, s := range sandboxes {
		if s.Model == name && s.Version == version {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
