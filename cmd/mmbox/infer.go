package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
)

func (m *mmbox) infer() *cli.Command {
	return &cli.Command{
		Name:      "infer",
		Usage:     "have a model answer one request",
		ArgsUsage: "MODEL",
		Description: "Runs the model's infer entrypoint in a sandbox: the request on its standard input, the answer on its standard\n" +
			"output. The exit code is the model's; 124 its time was up.",
		Flags: append(sandboxFlags(),
			&cli.StringFlag{Name: "id", Usage: "call the sandbox `ID`"},
			&cli.StringFlag{Name: "in", Usage: "read the request from `FILE` (default: standard input, as is -)"},
			&cli.StringFlag{Name: "out", Usage: "write the answer to `FILE`, if the model succeeds (default: standard output, as is -)"},
			&cli.DurationFlag{Name: "timeout", Usage: "give up after `TIME`, such as 30s"},
		),
		Action: m.inferAction,
	}
}

func (m *mmbox) inferAction(c *cli.Context) (err error) {
	m.runs = true
	args, err := names(c, 1, 1)
	if err != nil {
		return err
	}
	io := streams{m.stdin, m.stdout, m.stderr}
	if name := c.String("in"); name != "" && name != "-" {
		if io.in, err = os.Open(name); err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		defer io.in.Close()
	}
	commit := func() error { return nil }
	if name := c.String("out"); name != "" && name != "-" {
		answer, pendingErr := renameio.NewPendingFile(name, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
		if pendingErr != nil {
			return unwritable(name, pendingErr)
		}
		defer func() { err = errors.Join(err, answer.Cleanup()) }()
		io.out, commit = answer.File, answer.CloseAtomicallyReplace
	}
	model, err := m.find(c.Context, args[0])
	if err != nil {
		return err
	}
	r := request{id: c.String("id"), model: model, entry: "infer", remove: true}
	if r.id == "" {
		r.id = newID(model.Manifest.Name)
	}
	if err := m.once(c, r, io); err != nil {
		return err
	}
	return commit()
}

// unwritable says why there is no file beside the one of the answer, whose temporary name means nothing to its reader.
func unwritable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	err = fmt.Errorf("write answer %q: directory %q: %w", name, filepath.Dir(name), err)
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(err, "the directory does not exist: make it, or name another file with --out")
	}
	return err
}
