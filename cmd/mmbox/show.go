package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mmbox/isolation"
	"mmbox/models"
)

func (m *mmbox) show() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show an installed model",
		ArgsUsage: "MODEL",
		Action:    m.showAction,
	}
}

func (m *mmbox) showAction(c *cli.Context) (err error) {
	args, err := names(c, 1, 1)
	if err != nil {
		return err
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	model, err := store.Find(args[0])
	if err != nil {
		return err
	}
	if m.settings.json {
		return m.json(model)
	}
	return m.table(nil, showRows(model))
}

func showRows(model *models.Model) [][]string {
	manifest := model.Manifest
	var rows [][]string
	add := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	add("model", "%s@%s", manifest.Name, manifest.Version)
	for _, optional := range [][2]string{{"about", manifest.Description}, {"task", manifest.Task}, {"license", manifest.License}} {
		if optional[1] != "" {
			add(optional[0], "%s", strings.Join(strings.Fields(optional[1]), " "))
		}
	}
	add("digest", "%s", model.Digest)
	add("root", "%s", model.Root)
	for _, path := range slices.Sorted(maps.Keys(model.Files)) {
		blob := model.Files[path]
		add("file", "%s, %s, %s", path, bytes(blob.Size), blob.Digest)
	}
	for _, entry := range []struct {
		name string
		is   *models.Entrypoint
	}{{"infer", manifest.Run.Infer}, {"serve", manifest.Run.Serve}} {
		if entry.is != nil {
			add(entry.name, "%s", strings.Join(entry.is.Args, " "))
		}
	}
	r := manifest.Resources
	add("limits", "cpu %s, memory %s, pids %d, tmp %s", r.CPU, r.Memory, r.PIDs, r.Tmp)
	add("loosened", "%s", none(isolation.FromManifest(manifest).Loosened()))
	add("golden", "%d cases", len(manifest.Golden))
	add("installed", "%s, from %s", model.Installed.Format("2006-01-02 15:04:05 MST"), model.Source)
	return rows
}
