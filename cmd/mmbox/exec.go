package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mmbox/cmd/internal/ui"
	"mmbox/isolation"
	"mmbox/runtime"
)

func (m *mmbox) exec() *cli.Command {
	return &cli.Command{
		Name:        "exec",
		Usage:       "run one more program in a running sandbox",
		ArgsUsage:   "ID PROGRAM [ARG...]",
		Description: "The program has the sandbox's own user, limits and filter. The exit code is the program's.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set a variable, as `NAME=VALUE`"},
			&cli.StringFlag{Name: "workdir", Aliases: []string{"w"}, Usage: "run it in `DIR`"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal"},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "accepted for habit's sake: standard input is always connected"},
		},
		Action: m.execAction,
	}
}

func (m *mmbox) execAction(c *cli.Context) error {
	m.runs = true
	args, err := names(c, 2, -1)
	if err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	s, err := dir.Open(args[0])
	if err != nil {
		return err
	}
	env, err := pairs("env", c.StringSlice("env"))
	if err != nil {
		return err
	}
	program := slices.Clone(args[1:])
	root, err := s.Root()
	if err != nil {
		return err
	}
	if program[0], err = lookPath(root, program[0], isolation.Path); err != nil {
		return err
	}
	extra, err := s.Exec(c.Context, runtime.Launch{In: m.stdin, Out: m.stdout, Err: m.stderr, Filters: m.filters()}, func(p *specs.Process) {
		p.Args, p.Terminal = program, c.Bool("tty")
		p.Env = merge(p.Env, env)
		if dir := c.String("workdir"); dir != "" {
			p.Cwd = dir
		}
	})
	if err != nil {
		return err
	}
	signals, unpass := m.passed()
	defer unpass()
	if c.Context.Err() != nil { // a signal came before
		return errors.Join(context.Cause(c.Context), extra.Signal(unix.SIGKILL))
	}
	code, err := m.attend(extra, signals)
	if err != nil {
		return err
	}
	if code != 0 {
		return &exit{code}
	}
	return nil
}

// attend passes signals on to a program until it has ended, and returns its exit code.
func (m *mmbox) attend(extra *runtime.Extra, signals <-chan os.Signal) (code int, err error) {
	terminal, err := ui.Attach(extra.Console, m.stdin, m.stdout)
	if err != nil {
		return 0, errors.Join(err, extra.Signal(unix.SIGKILL))
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case sig := <-signals:
				// The program may have ended meanwhile; then so does this verb.
				_ = extra.Signal(sig.(unix.Signal))
			case <-done:
				return
			}
		}
	}()
	code, err = extra.Wait()
	return code, errors.Join(err, terminal.Detach())
}

// merge sets variables in an environment.
func merge(env []string, set map[string]string) []string {
	all := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		all[name] = value
	}
	maps.Copy(all, set)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+"="+all[name])
	}
	return out
}
