package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mmbox/models"
	"mmbox/rootfs/tree"
	"mmbox/runtime"
)

func (m *mmbox) gc() *cli.Command {
	return &cli.Command{
		Name:        "gc",
		Usage:       "remove what nothing needs and repair what killed commands left behind",
		Description: "Frees blobs, root file systems and system call filters that no installed model names, and clears sandboxes whose\nsupervisor was killed. What runs or is installed is not touched.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "only say what would be done"}},
		Action:      m.gcAction,
	}
}

// A collection is what gc did, or would do.
type collection struct {
	DryRun  bool             `json:"dry_run"`
	Repairs []runtime.Repair `json:"repairs"`
	Freed   []freed          `json:"freed"`
	Bytes   int64            `json:"bytes"`
}

// A freed thing is a file or directory that nothing needed.
type freed struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

func (m *mmbox) gcAction(c *cli.Context) error {
	if _, err := names(c, 0, 0); err != nil {
		return err
	}
	dir, err := m.dir()
	if err != nil {
		return err
	}
	out := collection{DryRun: c.Bool("dry-run"), Repairs: []runtime.Repair{}, Freed: []freed{}}
	repairs, swept := dir.Sweep(c.Context, out.DryRun)
	out.Repairs = append(out.Repairs, repairs...)
	err = errors.Join(swept, m.collect(c.Context, &out))
	for _, f := range out.Freed {
		out.Bytes += f.Size
	}
	if m.settings.json {
		return errors.Join(err, m.json(out))
	}
	for _, r := range out.Repairs {
		fmt.Fprintf(m.stdout, "%s %s: %s\n", r.Kind, r.Name, r.Done)
	}
	for _, f := range out.Freed {
		fmt.Fprintf(m.stdout, "%s: %s\n", f.Path, bytes(f.Size))
	}
	verb := "freed"
	if out.DryRun {
		verb = "would free"
	}
	fmt.Fprintf(m.stderr, "%s %s\n", verb, bytes(out.Bytes))
	return err
}

// collect frees what no model names. Sandboxes keep the roots they run on.
func (m *mmbox) collect(ctx context.Context, out *collection) (err error) {
	store, err := m.store()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := os.Stat(m.settings.root); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := store.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	needed := map[models.Digest]bool{}
	digests, err := store.Trees()
	if err != nil {
		return err
	}
	for _, d := range digests {
		needed[d] = true
	}
	if _, err := os.Stat(store.TreesDir()); err == nil {
		if err := m.collectTrees(store, needed, out); err != nil {
			return err
		}
	}
	blobs := store.Garbage
	if !out.DryRun {
		blobs = store.Sweep
	}
	garbage, err := blobs()
	for _, b := range garbage.Blobs {
		out.Freed = append(out.Freed, freed{store.BlobPath(b.Digest), b.Size})
	}
	for _, t := range garbage.Temps {
		out.Freed = append(out.Freed, freed{filepath.Join(m.settings.root, t.Path), t.Size})
	}
	return err
}

func (m *mmbox) collectTrees(store *models.Store, needed map[models.Digest]bool, out *collection) error {
	trees, err := tree.Open(store.TreesDir())
	if err != nil {
		return err
	}
	find := trees.Garbage
	if !out.DryRun {
		find = trees.Sweep
	}
	junk, err := find(needed)
	for _, j := range junk {
		out.Freed = append(out.Freed, freed{j.Path, j.Size})
	}
	return err
}
