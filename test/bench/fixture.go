package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	modelName = "trivial"
	atOnce    = 8 // starts at the same time
	source    = "int main(void) { return 0; }\n"
	manifest  = `schema: mmbox/v1
name: trivial
version: 1.0.0
description: A program that exits at once
rootfs:
  - dir: ./root
run:
  infer: {args: [/true]}
resources: {cpu: 1, memory: 32Mi, pids: 16, tmp: 1Mi}
network: none
seccomp: default
`
)

// A fixture is what the contenders start, and where they keep their state.
type fixture struct {
	dir    string
	mmbox  string
	root   string // of the bundles
	state  string // a file system of memory
	env    []string
	groups []string // cgroups that the bundles name
	filter string   // compiled, for bwrap
	hidden bool     // a version 2 hierarchy beside version 1 is not mounted
}

// A slot is a place in which one contender at a time may start the program.
type slot struct {
	n      int
	filter bool
}

func (s slot) id() string {
	if s.filter {
		return fmt.Sprintf("bench-f%d", s.n)
	}
	return fmt.Sprintf("bench-u%d", s.n)
}

func (f *fixture) bundle(s slot) string { return filepath.Join(f.dir, s.id()) }

// newFixture makes the model and its bundles. Ids of sandboxes' users must be able to reach the root, so the directory
// is open to all.
func newFixture(ctx context.Context, mmbox string) (_ *fixture, err error) {
	f := &fixture{mmbox: mmbox}
	if f.hidden, err = hideUnified(); err != nil {
		return nil, err
	}
	if f.dir, err = os.MkdirTemp("/var/tmp", "mmbox-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("prepare: %w", err), f.remove())
		}
	}()
	f.state = filepath.Join(f.dir, "state")
	f.env = append(os.Environ(), "MMBOX_ROOT="+filepath.Join(f.dir, "store"), "MMBOX_STATE="+filepath.Join(f.state, "mmbox"), "MMBOX_LOGS="+f.dir)
	if err := errors.Join(os.Chmod(f.dir, 0o755), os.Mkdir(f.state, 0o755)); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", f.state, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64m,mode=755"); err != nil {
		return nil, fmt.Errorf("mount a file system of memory: %w", err)
	}
	if err := f.model(ctx); err != nil {
		return nil, err
	}
	return f, f.bundles(ctx)
}

// model builds and installs the model, and runs it once, which compiles its filter.
func (f *fixture) model(ctx context.Context) error {
	model := filepath.Join(f.dir, "model")
	if err := os.MkdirAll(filepath.Join(model, "root"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"true.c": source, "model.yaml": manifest} {
		if err := os.WriteFile(filepath.Join(model, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if _, err := f.command(ctx, "gcc", "-O2", "-static", "-s", "-o", filepath.Join(model, "root", "true"), filepath.Join(model, "true.c")); err != nil {
		return err
	}
	if _, err := f.command(ctx, f.mmbox, "install", model); err != nil {
		return err
	}
	if _, err := f.command(ctx, f.mmbox, "run", modelName); err != nil {
		return err
	}
	filters, err := filepath.Glob(filepath.Join(f.dir, "store", "filters", "*.bpf"))
	if err != nil || len(filters) != 1 {
		return fmt.Errorf("compiled filters %q: want one: %w", filters, err)
	}
	cached, err := os.ReadFile(filters[0])
	if err != nil {
		return err
	}
	if len(cached) < 40 || len(cached)%8 != 0 {
		return fmt.Errorf("filter file of %d bytes: want a digest of 32 and instructions of 8", len(cached))
	}
	f.filter = filepath.Join(f.dir, "filter.bpf")
	return os.WriteFile(f.filter, cached[32:], 0o644)
}

// bundles writes a bundle with and one without filter, and copies of their specifications that differ in the cgroup
// alone, so that several can run at once.
func (f *fixture) bundles(ctx context.Context) error {
	for _, filter := range []bool{true, false} {
		first := f.bundle(slot{filter: filter})
		args := []string{"bundle", modelName, first}
		if !filter {
			args = []string{"bundle", "--seccomp", "unconfined", modelName, first}
		}
		if _, err := f.command(ctx, f.mmbox, args...); err != nil {
			return err
		}
		f.root = filepath.Join(first, "rootfs")
		text, err := os.ReadFile(filepath.Join(first, "config.json"))
		if err != nil {
			return err
		}
		for n := range atOnce {
			if err := f.copyBundle(slot{n, filter}, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fixture) copyBundle(s slot, config []byte) error {
	var spec specs.Spec
	if err := json.Unmarshal(config, &spec); err != nil {
		return err
	}
	if !strings.HasPrefix(spec.Linux.CgroupsPath, "/mmbox/") {
		return fmt.Errorf("the bundle's cgroup is %q: want one below /mmbox", spec.Linux.CgroupsPath)
	}
	spec.Linux.CgroupsPath = filepath.Join(filepath.Dir(spec.Linux.CgroupsPath), "bundle-"+s.id())
	f.groups = append(f.groups, spec.Linux.CgroupsPath)
	spec.Root.Path = f.root
	out, err := json.Marshal(&spec)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.bundle(s), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.bundle(s), "config.json"), out, 0o644)
}

// command runs a program of the fixture and returns its output.
func (f *fixture) command(ctx context.Context, program string, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// remove removes all that was made. A contender that left something behind is an error, after it was cleaned up.
func (f *fixture) remove() error {
	var errs []error
	for _, name := range []string{crun, runcApt, runcNew, ours} {
		left, err := filepath.Glob(filepath.Join(f.state, name, "bench-*"))
		errs = append(errs, err)
		if len(left) > 0 {
			errs = append(errs, fmt.Errorf("%s left its state behind: %s", name, left))
		}
	}
	_, err := f.command(context.Background(), f.mmbox, "gc")
	errs = append(errs, err, f.removeGroups())
	if err := unix.Unmount(f.state, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, fmt.Errorf("unmount %s: %w", f.state, err))
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// removeGroups removes the cgroups that contenders should have removed themselves, and the parent of them all.
func (f *fixture) removeGroups() error {
	var errs []error
	for _, group := range f.groups {
		dirs, err := filepath.Glob("/sys/fs/cgroup/*" + group)
		errs = append(errs, err)
		for _, dir := range append(f.real(dirs), "/sys/fs/cgroup"+group) {
			if err := unix.Rmdir(dir); err == nil {
				errs = append(errs, fmt.Errorf("cgroup %s was left behind", dir))
			} else if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", dir, err))
			}
		}
	}
	if len(f.groups) == 0 {
		return errors.Join(errs...)
	}
	parents, err := filepath.Glob("/sys/fs/cgroup/*" + filepath.Dir(f.groups[0]))
	errs = append(errs, err)
	for _, dir := range append(f.real(parents), "/sys/fs/cgroup"+filepath.Dir(f.groups[0])) {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// real leaves out what lies where a hierarchy would be if it were not hidden: no cgroup, and gone with the namespace.
func (f *fixture) real(dirs []string) []string {
	return slices.DeleteFunc(dirs, func(dir string) bool { return f.hidden && strings.HasPrefix(dir, unifiedDir) })
}
