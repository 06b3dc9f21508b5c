package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/models"
	"mmbox/rootfs"
	"mmbox/seccomp"
)

func (m *mmbox) install() *cli.Command {
	return &cli.Command{
		Name:        "install",
		Usage:       "install a model from a directory",
		ArgsUsage:   "DIR",
		Description: "DIR holds a model.yaml and what it names. Nothing of the model is executed. Installing what is there already does\nnothing.",
		Action:      m.installAction,
	}
}

func (m *mmbox) installAction(c *cli.Context) (err error) {
	args, err := names(c, 1, 1)
	if err != nil {
		return err
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	model, err := rootfs.Install(c.Context, store, args[0], rootfs.Options{Progress: func(e rootfs.Event) {
		if !m.settings.json {
			fmt.Fprintf(m.stderr, "%s\n", e.Step)
		}
	}})
	already := errors.Is(err, rootfs.ErrUpToDate)
	if err != nil && !already {
		return err
	}
	if model.Manifest.Seccomp != "unconfined" {
		if _, err := seccomp.Cached(m.filters(), seccomp.Default().Spec()); err != nil {
			return err
		}
	}
	if m.settings.json {
		return m.json(struct {
			Already bool `json:"already_installed"`
			*models.Model
		}{already, model})
	}
	if already {
		fmt.Fprintf(m.stderr, "already installed, with the same content\n")
	}
	_, err = fmt.Fprintf(m.stdout, "%s@%s\n", model.Manifest.Name, model.Manifest.Version)
	return err
}
