package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mmbox/models"
)

// golden answers a model's golden cases, each in a sandbox of its own, and returns how many passed and what the others
// gave.
func (m *mmbox) golden(c *cli.Context, ref string) (passed int, failures []string, err error) {
	model, err := m.find(c.Context, ref)
	if err != nil {
		return 0, nil, err
	}
	cases := model.Manifest.Golden
	if err := model.close(); err != nil {
		return 0, nil, err
	}
	for i, g := range cases {
		name := g.Name
		if name == "" {
			name = itoa(i + 1)
		}
		answer, err := m.answer(c, ref, g)
		var ended *exit
		switch {
		case errors.As(err, &ended):
			failures = append(failures, fmt.Sprintf("golden case %s: %v", name, err))
			continue
		case err != nil:
			return passed, failures, err
		}
		if err := g.Check(answer); err != nil {
			failures = append(failures, fmt.Sprintf("golden case %s: %v", name, err))
			continue
		}
		passed++
	}
	return passed, failures, nil
}

// answer has a model answer a golden case.
func (m *mmbox) answer(c *cli.Context, ref string, g models.Golden) (_ []byte, err error) {
	model, err := m.find(c.Context, ref)
	if err != nil {
		return nil, err
	}
	in, err := m.question(model, g)
	if err != nil {
		return nil, errors.Join(err, model.close())
	}
	defer in.Close()
	out, err := scratch()
	if err != nil {
		return nil, errors.Join(err, model.close())
	}
	defer out.Close()
	r := request{id: newID(model.Manifest.Name), model: model, entry: "infer", remove: true}
	if err := m.once(c, r, streams{in, out, nil}); err != nil {
		return nil, err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(out)
}

func (m *mmbox) question(model *installed, g models.Golden) (*os.File, error) {
	if g.InputFile != "" {
		store, err := m.store()
		if err != nil {
			return nil, err
		}
		defer store.Close()
		return os.Open(store.BlobPath(model.Golden[g.InputFile].Digest))
	}
	file, err := scratch()
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(g.Input); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// scratch returns an empty file of memory.
func scratch() (*os.File, error) {
	fd, err := unix.MemfdCreate("mmbox-scratch", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "scratch"), nil
}
