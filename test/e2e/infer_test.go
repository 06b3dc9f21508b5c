package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installed makes a model of the probe with a manifest of a test's own, and installs it in a store of the lab's own.
func (l *lab) installed(name, manifest string) {
	l.t.Helper()
	if r := l.install(name, manifest); r.code != 0 {
		l.t.Fatalf("%v", r)
	}
}

// install tries to install a model that has the probe as its root, in a store of the lab's own.
func (l *lab) install(name, manifest string) result {
	l.t.Helper()
	l.root = l.state + "-store"
	dir := l.model(name)
	l.write(filepath.Join(dir, "model.yaml"), "schema: mmbox/v1\nname: "+name+"\nversion: 1.0.0\n"+manifest)
	return l.run("install", dir)
}

// model makes a directory with the probe in its root.
func (l *lab) model(name string) string {
	l.t.Helper()
	dir := l.state + "-models/" + name
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir+"/root", 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Link(base+"/models/probe/root/probe", dir+"/root/probe"); err != nil {
		l.t.Fatal(err)
	}
	return dir
}

func (l *lab) write(path, content string) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) content(path string) string {
	l.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		l.t.Error(err)
	}
	return string(b)
}

func TestInfer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	in, out := l.state+"-in", l.state+"-out"
	l.write(in, "a question\n")
	if r := l.runWith("a line\n", "infer", "probe"); r.code != 0 || r.stdout != "a line\n" || r.stderr != "" {
		t.Errorf("%v", r)
	}
	if r := l.run("infer", "probe", "--in", in, "--out", out); r.code != 0 || r.stdout != "" || l.content(out) != "a question\n" {
		t.Errorf("%v", r)
	}
	l.fails(125, []string{"absent", "no such file"}, "infer", "probe", "--in", l.state+"-absent", "--out", out)
	r := l.run("infer", "probe", "--in", in, "--out", l.state+"/absent/out")
	l.checkFailure(r, 125, []string{"write answer", l.state + `/absent/out"`, `directory "` + l.state + `/absent": no such file`, "the directory does not exist"})
	if strings.Contains(r.stderr, "/.out") {
		t.Errorf("a temporary file is named:\n%v", r)
	}
	if l.content(out) != "a question\n" {
		t.Errorf("out after a failure: %q", l.content(out))
	}
	l.nothingLeft()
}

// A model that fails half-way leaves the file of answers as it was, and no temporary file.
func TestInferKeepsOutOnFailure(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("failing", "rootfs: [{dir: root}]\nrun: {infer: {args: [/probe, fail, \"3\"]}}\n")
	dir := l.state + "-answers"
	out := dir + "/out"
	l.write(out, "before")
	if r := l.run("infer", "failing", "--out", out); r.code != 3 {
		t.Errorf("want exit 3:\n%v", r)
	}
	l.installed("slow", "rootfs: [{dir: root}]\nrun: {infer: {args: [/probe, sleep, \"100\"]}}\n")
	began := time.Now()
	l.fails(124, []string{"--timeout"}, "infer", "slow", "--timeout", "200ms", "--out", out)
	if took := time.Since(began); took > patience {
		t.Errorf("a timeout of 200 ms took %v", took)
	}
	if l.content(out) != "before" || strings.Join(tree(t, dir), " ") != "out" {
		t.Errorf("out is %q, beside %v", l.content(out), tree(t, dir))
	}
	l.nothingLeft()
}

// The exit codes of run.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{0, "", []string{"probe", "/probe", "exit", "0"}},
		{1, "", []string{"probe", "/probe", "exit", "1"}},
		{124, "", []string{"probe", "/probe", "exit", "124"}},
		{255, "", []string{"probe", "/probe", "exit", "255"}},
		{139, "", []string{"probe", "/probe", "crash"}},
		{124, "--timeout", []string{"--timeout", "100ms", "probe", "/probe", "sleep", "100"}},
		{125, "no such model", []string{"absent"}},
		{125, "memory", []string{"--memory", "1Mi", "probe"}},
		{126, "/tmp", []string{"probe", "/tmp"}},
		{127, "/absent", []string{"probe", "/absent"}},
		{127, "absent", []string{"probe", "absent"}},
		{2, "--memory", []string{"--memory", "12Q", "probe"}},
	} {
		r := l.run(append([]string{"run"}, c.args...)...)
		l.checkFailure(r, c.code, []string{c.says})
		if c.says == "" && r.stderr != "" {
			t.Errorf("%v", r)
		}
	}
	l.nothingLeft()
	l.serve("server")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{3, "", []string{"server", "/probe", "exit", "3"}},
		{139, "", []string{"server", "/probe", "crash"}},
		{126, "/tmp", []string{"server", "/tmp"}},
		{127, "/absent", []string{"server", "/absent"}},
		{125, "no such sandbox", []string{"nobody", "/probe"}},
	} {
		l.fails(c.code, []string{c.says}, append([]string{"exec"}, c.args...)...)
	}
}
