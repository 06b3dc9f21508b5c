package vm

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// bootModules are what the initramfs needs to reach its root and what makes device nodes of its own.
// Everything else the guest's kernel loads on demand, through modprobe, as on a real machine.
var bootModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "loop"}

// moduleDeps maps a module's name to its file and the names it needs.
type moduleDeps map[string]module

type module struct {
	file  string   // relative to lib/modules/RELEASE; empty: built into the kernel
	needs []string // names of modules
}

// parseModules reads depmod's modules.dep and modules.builtin.
func parseModules(dep, builtin io.Reader) (moduleDeps, error) {
	deps := moduleDeps{}
	lines := bufio.NewScanner(builtin)
	for lines.Scan() {
		if file := strings.TrimSpace(lines.Text()); file != "" {
			deps[moduleName(file)] = module{}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.builtin: %w", err)
	}
	lines = bufio.NewScanner(dep)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		file, needs, found := strings.Cut(lines.Text(), ":")
		if !found {
			return nil, fmt.Errorf("read modules.dep: line %q has no colon", lines.Text())
		}
		m := module{file: file}
		for _, need := range strings.Fields(needs) {
			m.needs = append(m.needs, moduleName(need))
		}
		deps[moduleName(file)] = m
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	return deps, nil
}

// order returns the files to insert, each after all that it needs, none twice; built-in modules have none.
func (d moduleDeps) order(names ...string) ([]string, error) {
	var files []string
	done := map[string]bool{}
	var visit func(name string, chain []string) error
	visit = func(name string, chain []string) error {
		if done[name] {
			return nil
		}
		if slices.Contains(chain, name) {
			return fmt.Errorf("order kernel modules: %q needs itself through %s", name, strings.Join(chain, ", "))
		}
		m, ok := d[name]
		if !ok {
			return fmt.Errorf("order kernel modules: %q: no such module in this kernel", name)
		}
		// A copy, so that siblings in the recursion do not share the array behind the slice.
		chain = append(slices.Clone(chain), name)
		for _, need := range m.needs {
			if err := visit(need, chain); err != nil {
				return err
			}
		}
		done[name] = true
		if m.file != "" {
			files = append(files, m.file)
		}
		return nil
	}
	for _, name := range names {
		if err := visit(moduleName(name), nil); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// moduleName is a module's name as the kernel knows it: no directory, no suffix, underscores only.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
