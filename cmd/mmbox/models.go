package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func (m *mmbox) models() *cli.Command {
	return &cli.Command{
		Name:   "models",
		Usage:  "list installed models",
		Action: m.modelsAction,
	}
}

func (m *mmbox) modelsAction(c *cli.Context) (err error) {
	if _, err := names(c, 0, 0); err != nil {
		return err
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	list, damaged := store.List()
	var rows [][]string
	for _, model := range list {
		var files int64
		for _, blob := range model.Files {
			files += blob.Size
		}
		rows = append(rows, []string{model.Manifest.Name, model.Manifest.Version, model.Manifest.Task, bytes(files), ago(model.Installed)})
	}
	return errors.Join(m.list("models", list, []string{"NAME", "VERSION", "TASK", "FILES", "INSTALLED"}, rows), damaged)
}
