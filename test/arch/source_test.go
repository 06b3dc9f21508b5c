package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A source is a Go file of ours, by its path below the top.
type source struct {
	path string
	text []byte
	fset *token.FileSet
	file *ast.File
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// files calls do with each file that belongs to the project: not what git ignores, which is built or fetched.
func files(t *testing.T, do func(path string, text []byte)) {
	t.Helper()
	top := tree(t)
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin"}, path) || d.IsDir() && fetched.MatchString(path) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasSuffix(path, ".test") || strings.HasSuffix(path, ".out") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		do(path, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var fetched = regexp.MustCompile(`^models/examples/[^/]+/(root|files)$`)

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	files(t, func(path string, text []byte) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		s := source{path: path, text: text, fset: token.NewFileSet()}
		var err error
		if s.file, err = parser.ParseFile(s.fset, path, text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	})
	if len(list) < 50 {
		t.Fatalf("found only %d Go files", len(list))
	}
	return list
}

func TestSizes(t *testing.T) {
	packages := map[string]int{}
	for _, s := range sources(t) {
		if s.test() {
			continue // a table of cases may be as long as it needs to be
		}
		if n := bytes.Count(s.text, []byte("\n")); n >= fileLines {
			t.Errorf("%s has %d lines: a file has less than %d. Which noun is missing?", s.path, n, fileLines)
		}
		packages[filepath.Dir(s.path)] += codeLines(s.text)
		for _, d := range s.file.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n >= functionLines {
				t.Errorf("%s:%d: function %s has %d lines: a function has less than %d", s.path, s.line(f.Pos()), f.Name.Name, n, functionLines)
			}
		}
	}
	for name, n := range packages {
		most := packageLines
		if large, is := largePackages[name]; is {
			most = large.lines
		}
		if n >= most {
			t.Errorf("package %s has %d lines of code: it has less than %d. Which noun is missing?", name, n, most)
		}
	}
	for name := range largePackages {
		if packages[name] < packageLines {
			t.Errorf("package %s is no longer large: take it out of the table", name)
		}
	}
}

// codeLines counts the lines that hold code.
func codeLines(text []byte) int {
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	s.Init(file, text, nil, 0)
	lines := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue
		}
		for i := range 1 + strings.Count(literal, "\n") {
			lines[file.Line(pos)+i] = true
		}
	}
}

func TestCodeLines(t *testing.T) {
	if n := codeLines([]byte("// a\npackage a\n\nvar x = `1\n2` // b\n")); n != 3 {
		t.Errorf("counted %d lines of code, want 3", n)
	}
}

func TestHabits(t *testing.T) {
	seen := map[string]int{}
	for _, s := range sources(t) {
		for _, found := range habits(s) {
			if found.what == "init" {
				seen[s.path]++
				if _, may := inits[s.path]; may {
					continue
				}
			}
			t.Errorf("%s:%d: %s", s.path, s.line(found.at), found.say)
		}
	}
	for path, why := range inits {
		if seen[path] != 1 {
			t.Errorf("%s has %d init functions, want 1 (%s)", path, seen[path], why)
		}
	}
}

type finding struct {
	what, say string
	at        token.Pos
}

// habits finds what the style forbids.
func habits(s source) (found []finding) {
	add := func(at token.Pos, what, format string, args ...any) {
		found = append(found, finding{what, fmt.Sprintf(format, args...), at})
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				add(n.Pos(), "init", "an init function: let the caller decide when it happens")
			}
			if getter.MatchString(n.Name.Name) {
				add(n.Pos(), "get", "%s: name it after what it returns", n.Name.Name)
			}
		case *ast.TypeSpec:
			if strings.HasSuffix(n.Name.Name, "Manager") || strings.HasSuffix(n.Name.Name, "Helper") {
				add(n.Pos(), "manager", "type %s: name the thing that it is", n.Name.Name)
			}
			if i, is := n.Type.(*ast.InterfaceType); is && i.Methods.NumFields() > 4 {
				add(n.Pos(), "interface", "interface %s has more than four methods", n.Name.Name)
			}
		case *ast.SelectorExpr:
			x, is := n.X.(*ast.Ident)
			if !is {
				return true
			}
			switch call := x.Name + "." + n.Sel.Name; {
			case call == "context.TODO":
				add(n.Pos(), "todo", "context.TODO: take the caller's context")
			case call == "os.Exit" && s.file.Name.Name != "main" && !s.test():
				add(n.Pos(), "exit", "os.Exit: only main ends the process")
			case strings.HasPrefix(call, "fmt.Print") && s.file.Name.Name != "main" && !s.test():
				add(n.Pos(), "print", "%s: only commands print", call)
			}
		}
		return true
	})
	return found
}

var getter = regexp.MustCompile(`^Get[A-Z]`)

func TestHabitsAreFound(t *testing.T) {
	text := "package a\nfunc init() {}\nfunc GetX() {}\ntype FooManager int\ntype I interface { A(); B(); C(); D(); E() }\n" +
		"func f() { context.TODO(); os.Exit(1); fmt.Println() }\n"
	s := source{path: "a.go", fset: token.NewFileSet()}
	var err error
	if s.file, err = parser.ParseFile(s.fset, s.path, text, 0); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range habits(s) {
		got = append(got, f.what)
	}
	want := []string{"init", "get", "manager", "interface", "todo", "exit", "print"}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestUnsaid(t *testing.T) {
	files(t, func(path string, text []byte) {
		for _, u := range unsaid {
			if i := bytes.Index(text, []byte(u.text)); i >= 0 {
				t.Errorf("%s:%d holds %q: %s", path, 1+bytes.Count(text[:i], []byte("\n")), u.text, u.why)
			}
		}
	})
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && name != "bin" { // bin is built, and ignored by git
			got = append(got, name)
		}
	}
	for _, name := range got {
		if !slices.Contains(topLevel, name) {
			t.Errorf("%s lies at the top, where only %v may", name, topLevel)
		}
	}
	for _, name := range topLevel {
		if !slices.Contains(got, name) {
			t.Errorf("%s is missing at the top", name)
		}
	}
}
