package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/models"
	"mmbox/models/strict"
)

func (m *mmbox) schema() *cli.Command {
	return &cli.Command{
		Name:        "schema",
		Usage:       "print a JSON Schema",
		ArgsUsage:   "manifest|config",
		Description: "Of the manifest of models (model.yaml), or of the configuration file.",
		Action: func(c *cli.Context) error {
			args, err := names(c, 1, 1)
			if err != nil {
				return err
			}
			var schema []byte
			switch args[0] {
			case "manifest":
				schema = models.JSONSchema()
			case "config":
				if schema, err = strict.JSONSchema("mmbox/config/v1", "mmbox configuration", configShape()); err != nil {
					return err
				}
			default:
				return &usage{fmt.Sprintf("schema %q: write manifest or config", args[0])}
			}
			_, err = fmt.Fprintf(m.stdout, "%s\n", schema)
			return err
		},
	}
}
