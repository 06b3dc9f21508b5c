package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func (m *mmbox) run() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a model's program in a sandbox, in the foreground",
		ArgsUsage: "MODEL [PROGRAM [ARG...]]",
		Description: "Makes a sandbox, runs the model's infer entrypoint (serve, where there is no infer) or PROGRAM in it, and removes\n" +
			"the sandbox. Signals are passed on. The exit code is the program's; 124 its time was up, 125 mmbox failed,\n" +
			"126 the program is not executable, 127 there is none, 128+n signal n ended it.",
		Flags: append(sandboxFlags(),
			&cli.StringFlag{Name: "id", Usage: "call the sandbox `ID`"},
			&cli.StringFlag{Name: "entrypoint", Usage: "run `NAME`: infer or serve"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal"},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "accepted for habit's sake: standard input is always connected"},
			&cli.BoolFlag{Name: "keep", Usage: "keep the sandbox's record when it has ended"},
			&cli.DurationFlag{Name: "timeout", Usage: "end the program after `TIME`, such as 30s"},
		),
		Action: m.runAction,
	}
}

func (m *mmbox) runAction(c *cli.Context) error {
	m.runs = true
	args, err := names(c, 1, -1)
	if err != nil {
		return err
	}
	model, err := m.find(c.Context, args[0])
	if err != nil {
		return err
	}
	r := request{id: c.String("id"), model: model, entry: c.String("entrypoint"), args: args[1:], terminal: c.Bool("tty"), remove: !c.Bool("keep")}
	if r.id == "" {
		r.id = newID(model.Manifest.Name)
	}
	if r.entry == "" {
		r.entry = "infer"
		if model.Manifest.Run.Infer == nil {
			r.entry = "serve"
		}
	}
	return m.once(c, r, streams{m.stdin, m.stdout, m.stderr})
}

// once runs a request in the foreground.
func (m *mmbox) once(c *cli.Context, r request, io streams) error {
	dir, err := m.dir()
	if err != nil {
		return errors.Join(err, r.model.close())
	}
	blueprint, err := m.blueprint(c, dir, r)
	if err != nil {
		return errors.Join(err, r.model.close())
	}
	s, err := dir.Create(blueprint)
	// From here on the sandbox itself keeps the model from removal.
	if err := errors.Join(err, r.model.close()); err != nil {
		return err
	}
	m.warn(s.Warnings)
	return m.ended(m.foreground(c.Context, s, io, c.Duration("timeout")))
}
