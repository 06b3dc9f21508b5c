package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"mmbox/models"
	"mmbox/rootfs/tree"
)

func (m *mmbox) verify() *cli.Command {
	return &cli.Command{
		Name:        "verify",
		Usage:       "read every byte of models and hold it against their digests",
		ArgsUsage:   "[MODEL...]",
		Description: "Without a name, all installed models. With --run, their golden cases are answered in sandboxes too.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "run", Usage: "answer the golden cases in sandboxes"}},
		Action:      m.verifyAction,
	}
}

// A verdict is what verify found out about a model.
type verdict struct {
	Model   string   `json:"model"`
	Digest  string   `json:"digest"`
	OK      bool     `json:"ok"`
	Golden  *int     `json:"golden_passed,omitempty"` // nil: not run
	Of      *int     `json:"golden_cases,omitempty"`
	Damages []string `json:"damages,omitempty"`
}

var errVerify = errors.New("verification failed")

func (m *mmbox) verifyAction(c *cli.Context) (err error) {
	refs, err := names(c, 0, -1)
	if err != nil {
		return err
	}
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	list, damaged, err := m.chosen(store, refs)
	if err != nil {
		return err
	}
	var verdicts []verdict
	var rows [][]string
	for _, model := range list {
		v, err := m.judge(c, store, &model)
		if err != nil {
			return err
		}
		if !v.OK {
			damaged = errors.Join(damaged, fmt.Errorf("%s: %w", v.Model, errVerify))
		}
		verdicts = append(verdicts, v)
		rows = append(rows, v.row())
	}
	return errors.Join(m.list("models", verdicts, nil, rows), damaged)
}

func (m *mmbox) chosen(store *models.Store, refs []string) (list []models.Model, damaged, err error) {
	if len(refs) == 0 {
		list, damaged = store.List()
		return list, damaged, nil
	}
	for _, ref := range refs {
		model, err := store.Find(ref)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, *model)
	}
	return list, nil, nil
}

func (m *mmbox) judge(c *cli.Context, store *models.Store, model *models.Model) (verdict, error) {
	v := verdict{Model: model.Manifest.Name + "@" + model.Manifest.Version, Digest: string(model.Digest)}
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		return v, err
	}
	for _, err := range store.Verify(model) {
		v.Damages = append(v.Damages, err.Error())
	}
	if err := trees.Verify(c.Context, model); err != nil {
		if c.Context.Err() != nil {
			return v, c.Context.Err()
		}
		v.Damages = append(v.Damages, err.Error())
	}
	if c.Bool("run") && len(v.Damages) == 0 {
		passed, failures, err := m.golden(c, v.Model)
		if err != nil {
			return v, err
		}
		of := len(model.Manifest.Golden)
		v.Golden, v.Of = &passed, &of
		v.Damages = append(v.Damages, failures...)
	}
	v.OK = len(v.Damages) == 0
	return v, nil
}

func (v verdict) row() []string {
	text := "ok"
	if v.Golden != nil {
		text = fmt.Sprintf("ok, %d of %d golden cases", *v.Golden, *v.Of)
	}
	if !v.OK {
		text = "DAMAGED"
		for _, d := range v.Damages {
			text += "\n  " + d
		}
	}
	return []string{v.Model, text}
}
