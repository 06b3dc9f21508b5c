package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func (m *mmbox) config() *cli.Command {
	return &cli.Command{
		Name:        "config",
		Usage:       "show the settings and where each comes from",
		ArgsUsage:   "show",
		Description: "A flag goes before the environment, the environment before the configuration file, the file before the default.",
		Action: func(c *cli.Context) error {
			args, err := names(c, 0, 1)
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] != "show" {
				return &usage{fmt.Sprintf("config %q: write mmbox config show", args[0])}
			}
			var rows [][]string
			for _, s := range m.settings.all {
				rows = append(rows, []string{s.Name, s.Value, s.Origin})
			}
			return m.list("settings", m.settings.all, []string{"SETTING", "VALUE", "FROM"}, rows)
		},
	}
}
