package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "mmbox"
	tags   = "seccomp netgo osusergo runc_nocriu urfave_cli_no_docs"
)

// listed is what the go command tells of a package.
type listed struct {
	ImportPath, ForTest, Name, Doc string
	Standard                       bool
	Module                         *struct {
		Path string
		Main bool
	}
	Imports, TestImports, XTestImports []string
}

// tree is where the project begins.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// list returns every package that ours need, tests included, by import path.
func list(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-tags", tags,
		"-json=ImportPath,ForTest,Name,Doc,Standard,Module,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = tree(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	pkgs := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.ForTest == "" && !strings.HasSuffix(p.ImportPath, ".test") { // the plain package, not its test binary
			pkgs[p.ImportPath] = p
		}
	}
	return pkgs
}

// ours returns the name of a package below the module, and whether it is ours.
func (p listed) ours() (string, bool) {
	if p.Module == nil || !p.Module.Main {
		return "", false
	}
	return strings.TrimPrefix(p.ImportPath, module+"/"), true
}

// covers tells whether one of the patterns is the name or, ending in ..., is above it.
func covers(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		above, open := strings.CutSuffix(p, "...")
		return p == name || open && strings.HasPrefix(name+"/", above)
	})
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"models", "models", true},
		{"models", "models/strict", false},
		{"models/...", "models/strict", true},
		{"models/...", "modelsx", false},
		{"...", "anything", true},
	} {
		if got := covers([]string{c.pattern}, c.name); got != c.want {
			t.Errorf("covers %q %q: %t", c.pattern, c.name, got)
		}
	}
}

func TestOurImports(t *testing.T) {
	pkgs := list(t)
	used := map[string]bool{}
	for _, p := range pkgs {
		name, is := p.ours()
		if !is {
			continue
		}
		i := slices.IndexFunc(owns, func(o own) bool { return covers([]string{o.pkg}, name) })
		if i < 0 {
			t.Errorf("package %s is not in the table: say what it may import", name)
			continue
		}
		rule := owns[i]
		used[rule.pkg] = true
		check := func(kind string, imports []string, allowed ...[]string) {
			for _, path := range imports {
				to, is := pkgs[path].ours()
				if is && to != name && !covers(slices.Concat(allowed...), to) {
					t.Errorf("package %s %s %s, but may only import %v: %s", name, kind, to, slices.Concat(allowed...), rule.why)
				}
			}
		}
		check("imports", p.Imports, rule.uses)
		check("imports in its tests", p.TestImports, rule.uses, rule.tests)
		check("imports in its tests", p.XTestImports, rule.uses, rule.tests)
	}
	for _, o := range owns {
		if !used[o.pkg] {
			t.Errorf("the table has %s, which does not exist", o.pkg)
		}
	}
}

func TestDoors(t *testing.T) {
	pkgs := list(t)
	used := map[string]bool{}
	for _, p := range pkgs {
		name, is := p.ours()
		if !is {
			continue
		}
		check := func(imports []string, test bool) {
			for _, path := range imports {
				to := pkgs[path]
				if to.Module == nil || to.Module.Main {
					continue
				}
				i := slices.IndexFunc(doors, func(d door) bool { return d.module == to.Module.Path })
				if i < 0 {
					t.Errorf("package %s imports %s, a module that is not in the table: say which package is its door", name, path)
					continue
				}
				d := doors[i]
				if !covers(d.pkgs, name) && !(test && covers(d.tests, name)) {
					t.Errorf("package %s imports %s, whose door is %v (tests: %v): %s", name, path, d.pkgs, d.tests, d.why)
				}
				for _, pattern := range slices.Concat(d.pkgs, d.tests) {
					if covers([]string{pattern}, name) {
						used[d.module+" "+pattern] = true
					}
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
	for _, d := range doors {
		for _, pattern := range slices.Concat(d.pkgs, d.tests) {
			if !used[d.module+" "+pattern] {
				t.Errorf("the table lets %s import %s, and it does not: take it out", pattern, d.module)
			}
		}
	}
}

// TestPackages: a package says what it is, once, and has a name that says something.
func TestPackages(t *testing.T) {
	for _, p := range list(t) {
		name, is := p.ours()
		if !is {
			continue
		}
		if p.Doc == "" {
			t.Errorf("package %s has no package comment: say what it is, its limits and what it is not for", name)
		}
		if slices.Contains(badNames, p.Name) {
			t.Errorf("package %s: the name %s says nothing about what is inside", name, p.Name)
		}
		if slices.Contains(p.Imports, "log") || slices.Contains(p.Imports, "log/slog") {
			t.Errorf("package %s logs: return an error, or let the caller say it", name)
		}
	}
}
