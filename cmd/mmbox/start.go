package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mmbox/runtime"
)

func (m *mmbox) start() *cli.Command {
	return &cli.Command{
		Name:      "start",
		Usage:     "start a model in a sandbox of its own, in the background",
		ArgsUsage: "MODEL",
		Description: "Starts the model's serve entrypoint (infer, where there is no serve) and returns. The sandbox is called after the\n" +
			"model unless --id says otherwise. Starting what runs already does nothing; a sandbox of that name that has ended is\n" +
			"replaced. Output goes to a log: see mmbox logs.",
		Flags: append(sandboxFlags(),
			&cli.StringFlag{Name: "id", Usage: "call the sandbox `ID`"},
			&cli.StringFlag{Name: "entrypoint", Usage: "run `NAME`: infer or serve"},
			&cli.StringFlag{Name: "stop-signal", Usage: "end it by `SIGNAL` (default: SIGTERM)"},
		),
		Action: m.startAction,
	}
}

func (m *mmbox) startAction(c *cli.Context) error {
	args, err := names(c, 1, 1)
	if err != nil {
		return err
	}
	model, err := m.find(c.Context, args[0])
	if err != nil {
		return err
	}
	r := request{id: c.String("id"), model: model, entry: c.String("entrypoint")}
	if r.id == "" {
		r.id = model.Manifest.Name
	}
	if r.entry == "" {
		r.entry = "serve"
		if model.Manifest.Run.Serve == nil {
			r.entry = "infer"
		}
	}
	s, running, err := m.makeDetached(c, r)
	if err := errors.Join(err, model.close()); err != nil {
		return err
	}
	if !running {
		m.warn(s.Warnings)
		if err := m.detach(s); err != nil {
			return errors.Join(err, s.Delete(c.Context))
		}
	}
	return m.showStarted(s, running)
}

// makeDetached makes the sandbox of a request, or finds that it runs already.
func (m *mmbox) makeDetached(c *cli.Context, r request) (s *runtime.Sandbox, running bool, err error) {
	if err := runtime.CheckID(r.id); err != nil {
		return nil, false, err
	}
	dir, err := m.dir()
	if err != nil {
		return nil, false, err
	}
	r.log = filepath.Join(m.settings.logs, r.id+".log")
	blueprint, err := m.blueprint(c, dir, r)
	if err != nil {
		return nil, false, err
	}
	blueprint.Record.Input = readsLines(r)
	if blueprint.Record.StopSignal, err = signalName(c.String("stop-signal")); err != nil {
		return nil, false, err
	}
	for {
		s, err = dir.Create(blueprint)
		if !errors.Is(err, runtime.ErrExists) {
			return s, false, err
		}
		old, err := dir.Open(r.id)
		if errors.Is(err, runtime.ErrNotFound) {
			continue // removed since, or not recorded yet
		} else if err != nil {
			return nil, false, err
		}
		err = old.Delete(c.Context)
		switch {
		case errors.Is(err, runtime.ErrRunning) && old.Model == blueprint.Record.Model:
			return old, true, nil
		case errors.Is(err, runtime.ErrRunning):
			return nil, false, fmt.Errorf("start %q: a sandbox of model %q has that id: %w", r.id, old.Model, runtime.ErrExists)
		case err != nil && !errors.Is(err, runtime.ErrNotFound):
			return nil, false, err
		}
	}
}

// readsLines tells whether a program waits for requests on its standard input, and would end if that ended.
func readsLines(r request) bool {
	serve := r.model.Manifest.Run.Serve
	return r.entry == "serve" && serve != nil && serve.Protocol == "lines"
}

// detach hands a sandbox to a supervisor.
func (m *mmbox) detach(s *runtime.Sandbox) error {
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return errors.Join(fmt.Errorf("make log directory: %w", err), s.Close())
	}
	log, err := logFile(s.Log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(s.Start(m.supervisor(s.ID), log), log.Close())
}

func (m *mmbox) showStarted(s *runtime.Sandbox, already bool) error {
	if m.settings.json {
		return m.json(struct {
			*runtime.Record
			Already bool `json:"already_running"`
		}{&s.Record, already})
	}
	_, err := fmt.Fprintln(m.stdout, s.ID)
	return err
}
