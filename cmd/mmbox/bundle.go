package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/isolation"
	"mmbox/rootfs"
)

func (m *mmbox) bundle() *cli.Command {
	return &cli.Command{
		Name:      "bundle",
		Usage:     "write a model as an OCI bundle, which any OCI runtime runs",
		ArgsUsage: "MODEL DIR",
		Description: "DIR must be new or empty. It gets a config.json and a copy of the root file system; run it with, for example,\n" +
			"runc run --bundle DIR NAME. Its user ids are the first of mmbox's block: change them to run two bundles at once.",
		Flags: append(sandboxFlags(),
			&cli.StringFlag{Name: "entrypoint", Value: "infer", Usage: "run `NAME`: infer or serve"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal"},
		),
		Action: m.bundleAction,
	}
}

func (m *mmbox) bundleAction(c *cli.Context) (err error) {
	args, err := names(c, 2, 2)
	if err != nil {
		return err
	}
	model, err := m.find(c.Context, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.close()) }()
	dir, err := m.dir()
	if err != nil {
		return err
	}
	r := request{id: model.Manifest.Name, model: model, entry: c.String("entrypoint"), terminal: c.Bool("tty")}
	blueprint, err := m.blueprint(c, dir, r)
	if err != nil {
		return err
	}
	bundle, err := rootfs.WriteBundle(args[1], blueprint.Specification(isolation.FirstRange()), model.root)
	if err != nil {
		return err
	}
	if m.settings.json {
		return m.json(map[string]string{"bundle": bundle.Dir})
	}
	_, err = fmt.Fprintln(m.stdout, bundle.Dir)
	return err
}
