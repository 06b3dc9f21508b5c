package e2e

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodRun = "run: {infer: {args: [/probe, echo]}}\n"

// TestBadManifests holds each refusal to three things: it says where, what and what to write instead; the exit code is
// 1; and the store is what it was before.
func TestBadManifests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("good", "rootfs: [{dir: root}]\n"+goodRun)
	before := l.stored()
	digest := strings.Repeat("0", 64)
	for i, c := range []struct {
		what, manifest string
		says           []string
	}{
		{"unknown key", "rootfs: [{dir: root}]\n" + goodRun + "colour: red\n", []string{"model.yaml:6:1", `"colour"`, "unknown"}},
		{"misspelt key", "rootfs: [{dir: root}]\n" + goodRun + "resource: {cpu: 1}\n", []string{"model.yaml:6:1", `"resource"`, "resources"}},
		{"unknown key inside", "rootfs: [{dir: root}]\n" + goodRun + "resources: {cpus: 1}\n", []string{"model.yaml:6:13", `"cpus"`, "cpu"}},
		{"duplicate key", "rootfs: [{dir: root}]\n" + goodRun + "network: none\nnetwork: host\n", []string{"model.yaml:7:1", `"network"`, "6"}},
		{"memory 0", "rootfs: [{dir: root}]\n" + goodRun + "resources: {memory: 0}\n", []string{"model.yaml:6:21", `size "0"`, "zero", "64Mi"}},
		{"memory 12Q", "rootfs: [{dir: root}]\n" + goodRun + "resources: {memory: 12Q}\n", []string{"model.yaml:6:21", `"12Q"`, "64Mi"}},
		{"memory -1", "rootfs: [{dir: root}]\n" + goodRun + "resources: {memory: -1}\n", []string{"model.yaml:6:21", `"-1"`, "negative"}},
		{"memory 010", "rootfs: [{dir: root}]\n" + goodRun + "resources: {memory: 010}\n", []string{"model.yaml:6:21", `"010"`, "write 10"}},
		{"cpu 0", "rootfs: [{dir: root}]\n" + goodRun + "resources: {cpu: 0}\n", []string{"model.yaml:6:", "cpu", "0"}},
		{"args empty", "rootfs: [{dir: root}]\nrun: {infer: {args: []}}\n", []string{"model.yaml:5:", "args"}},
		{"no args", "rootfs: [{dir: root}]\nrun: {infer: {}}\n", []string{"model.yaml:5:", "args"}},
		{"no entrypoint", "rootfs: [{dir: root}]\nrun: {}\n", []string{"model.yaml:5:", "infer"}},
		{"program not in the root", "rootfs: [{dir: root}]\nrun: {infer: {args: [/absent, echo]}}\n", []string{`"/absent"`}},
		{"program is a directory", "rootfs: [{dir: root}]\nrun: {infer: {args: [/tmp]}}\n", []string{`"/tmp"`, "belongs to the sandbox"}},
		{"program is a directory of the root", "rootfs: [{dir: root}]\nrun: {infer: {args: [/etc]}}\n", []string{`"/etc"`, "not a file"}},
		{"wrong digest", "rootfs: [{dir: root}]\nfiles: {/w.bin: {source: ./w.bin, sha256: \"" + digest + "\"}}\n" + goodRun, []string{"w.bin", digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}},
		{"weights missing", "rootfs: [{dir: root}]\nfiles: {/w.bin: {source: ./absent.bin}}\n" + goodRun, []string{"absent.bin", "no such file"}},
		{"weights outside", "rootfs: [{dir: root}]\nfiles: {/w.bin: {source: ../../etc/passwd}}\n" + goodRun, []string{"model.yaml:5:", "../../etc/passwd", "outside"}},
		{"dir outside", "rootfs: [{dir: /etc}]\n" + goodRun, []string{"model.yaml:4:", `"/etc"`, "outside", "copy"}},
		{"tar outside", "rootfs: [{tar: ../x.tar}]\n" + goodRun, []string{"model.yaml:4:", `"../x.tar"`, "outside", "copy"}},
		{"file outside the root", "rootfs: [{dir: root}]\nfiles: {/../w.bin: {source: ./w.bin}}\n" + goodRun, []string{"model.yaml:5:", "/../w.bin", "/w.bin"}},
		{"remote without digest", "rootfs: [{tar: \"https://example.org/x.tar\"}]\n" + goodRun, []string{"model.yaml:4:", "sha256"}},
		{"no layer", goodRun, []string{"model.yaml:1:1", "rootfs"}},
		{"layer missing", "rootfs: [{dir: absent}]\n" + goodRun, []string{"absent", "no such file"}},
		{"not YAML", "rootfs: [{dir: root\n", []string{"model.yaml:"}},
	} {
		name := fmt.Sprintf("bad-%d", i)
		l.write(l.model(name)+"/w.bin", "abc")
		r := l.install(name, c.manifest)
		t.Run(c.what, func(t *testing.T) {
			(&lab{t: t}).checkFailure(r, 1, c.says)
			if now := l.stored(); now != before {
				l.ok("gc") // content that was taken in before the refusal is harmless, and freed by gc
				if now := l.stored(); now != before {
					t.Errorf("the store changed:\n%s\nbefore:\n%s", now, before)
				}
			}
		})
	}
	if out := l.ok("models"); strings.Count(out, "\n") != 2 {
		t.Errorf("models: %s", out)
	}
}

// stored lists the files of the lab's store, one a line, and nothing of how the store keeps itself.
func (l *lab) stored() string {
	l.t.Helper()
	var files []string
	for _, path := range tree(l.t, l.root) {
		if info, err := os.Lstat(l.root + "/" + path); err != nil {
			l.t.Error(err)
		} else if !info.IsDir() && path != "lock" && !strings.HasPrefix(path, "trees/sources/") {
			files = append(files, path)
		}
	}
	return strings.Join(files, "\n")
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, name := range []string{
		"a/b", "..", ".", "../up", "-a", "a b", "A", strings.Repeat("a", 300), "", "dіgits" /* a Cyrillic i */, "digits\u200b", "a\x00b",
	} {
		dir := l.model("named")
		l.root = l.state + "-store"
		l.write(dir+"/model.yaml", fmt.Sprintf("schema: mmbox/v1\nname: %q\nversion: 1.0.0\nrootfs: [{dir: root}]\n%s", name, goodRun))
		l.fails(1, []string{"model.yaml:2:", "name"}, "install", dir)
		if name == "" || strings.Contains(name, "\x00") { // no argument of a command can be that
			continue
		}
		r := l.run("run", "--", name)
		l.checkFailure(r, 125, nil)
		if !strings.Contains(r.stderr, "name") && !strings.Contains(r.stderr, "model") {
			t.Errorf("%v", r)
		}
		l.fails(1, []string{"not an id", "1 to 63"}, "inspect", "--", name)
		l.fails(1, nil, "show", "--", name)
		l.root = base + "/store"
		l.fails(1, []string{"not an id"}, "start", "--id="+name, "probe")
		l.fails(125, []string{"not an id"}, "run", "--id="+name, "probe")
	}
	if left := tree(t, l.state); len(left) > 0 {
		t.Errorf("state has %v", left)
	}
}

// A program whose interpreter or library is missing, or that is for another machine, is refused at install, by name.
func TestProgramsThatCannotRun(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, c := range []struct {
		name    string
		prepare func(root string) error
		says    []string
	}{
		{"interpreter", func(root string) error { return copyFile("/usr/bin/env", root+"/program", nil) }, []string{"/program", "ld-linux"}},
		{"library", func(root string) error {
			interpreter, err := interpreterOf("/usr/bin/env")
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(root+interpreter), 0o755); err != nil {
				return err
			}
			if err := copyFile(interpreter, root+interpreter, nil); err != nil {
				return err
			}
			return copyFile("/usr/bin/env", root+"/program", nil)
		}, []string{"/program", "libc.so.6"}},
		{"machine", func(root string) error {
			return copyFile(probe, root+"/program", func(b []byte) {
				other := elf.EM_AARCH64
				if elf.Machine(binary.LittleEndian.Uint16(b[18:])) == other {
					other = elf.EM_X86_64
				}
				binary.LittleEndian.PutUint16(b[18:], uint16(other))
			})
		}, []string{"/program", "aarch64", "x86_64"}},
		{"script", func(root string) error { return os.WriteFile(root+"/program", []byte("#!/bin/absent\n"), 0o755) }, []string{"/program", "/bin/absent"}},
		{"not executable", func(root string) error { return os.WriteFile(root+"/program", []byte("x"), 0o644) }, []string{"/program", "executable"}},
		{"not a program", func(root string) error { return os.WriteFile(root+"/program", []byte("hello"), 0o755) }, []string{"/program"}},
	} {
		name := strings.ReplaceAll("bad-"+c.name, " ", "-")
		if err := c.prepare(l.model(name) + "/root"); err != nil {
			t.Fatal(err)
		}
		r := l.install(name, "rootfs: [{dir: root}]\nrun: {infer: {args: [/program]}}\n")
		l.checkFailure(r, 1, c.says)
	}
	if out := l.ok("models", "--format", "json"); strings.Contains(out, "bad-") {
		t.Errorf("models: %s", out)
	}
}

func copyFile(from, to string, change func([]byte)) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if change != nil {
		change(content)
	}
	return os.WriteFile(to, content, 0o755)
}

func interpreterOf(path string) (string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			text := make([]byte, p.Filesz)
			if _, err := p.ReadAt(text, 0); err != nil {
				return "", err
			}
			return strings.TrimRight(string(text), "\x00"), nil
		}
	}
	return "", fmt.Errorf("%s is static", path)
}

func TestModelThatExistsOrIsInUse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.installed("one", "rootfs: [{dir: root}]\nrun: {infer: {args: [/probe, echo]}, serve: {args: [/probe, trap], protocol: lines}}\n")
	before := l.stored()
	// The same content again does nothing; other content under the same version is refused.
	if r := l.run("install", l.model("one")); r.code != 0 || !strings.Contains(r.stderr, "already installed") {
		t.Errorf("%v", r)
	}
	l.checkFailure(l.install("one", "rootfs: [{dir: root}]\nrun: {infer: {args: [/probe, look]}}\n"), 1, []string{"one@1.0.0", "mmbox remove one", "version"})
	l.ok("gc")
	if now := l.stored(); now != before {
		t.Errorf("the store changed:\n%s\nbefore:\n%s", now, before)
	}
	l.ok("start", "--id", "server", "one")
	l.fails(1, []string{"one", "in use", "server", "mmbox rm"}, "remove", "one")
	l.ok("stop", "server")
	l.fails(1, []string{"in use", "server"}, "remove", "one") // restart would need it
	l.ok("rm", "server")
	l.ok("remove", "one")
	l.fails(1, []string{`"one"`, "no such model"}, "remove", "one")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"instal"}, []string{`unknown verb "instal"`, "install"}},
		{[]string{"xyzzy"}, []string{`unknown verb "xyzzy"`, "mmbox --help"}},
		{[]string{"run", "--memry", "1Mi", "probe"}, []string{`unknown flag "--memry"`, "--memory"}},
		{[]string{"run", "probe", "--memry", "1Mi"}, []string{`unknown flag "--memry"`, "--memory"}},
		{[]string{"run"}, []string{"usage: mmbox run MODEL"}},
		{[]string{"infer", "probe", "extra"}, []string{"usage: mmbox infer MODEL"}},
		{[]string{"run", "probe", "--memory"}, []string{"--memory", "needs a value"}},
		{[]string{"run", "--memory", "0", "probe"}, []string{"--memory", "0"}},
		{[]string{"run", "--memory", "12Q", "probe"}, []string{"--memory", "12Q"}},
		{[]string{"run", "--memory", "-1", "probe"}, []string{"--memory", "-1"}},
		{[]string{"run", "--memory=010", "probe"}, []string{"--memory", "010"}},
		{[]string{"run", "--cpu", "0", "probe"}, []string{"--cpu", "0"}},
		{[]string{"run", "--pids", "0", "probe"}, []string{"--pids", "0"}},
		{[]string{"run", "--pids", "many", "probe"}, []string{"pids", "many"}},
		{[]string{"run", "--network", "bridge", "probe"}, []string{"--network", "bridge", "none or host"}},
		{[]string{"run", "--cap-add", "NET_BIND_SERVICES", "probe"}, []string{"--cap-add", "NET_BIND_SERVICE"}},
		{[]string{"run", "-e", "A", "probe"}, []string{"--env", `"A"`, "NAME=VALUE"}},
		{[]string{"run", "--entrypoint", "train", "probe"}, []string{"train", "infer or serve"}},
		{[]string{"wait", "--timeout", "soon", "probe"}, []string{"timeout", "soon"}},
		{[]string{"--format", "xml", "models"}, []string{"xml", "table or json"}},
	} {
		l.fails(2, c.says, c.args...)
	}
	// In JSON mode an error is one object.
	r := l.run("--format", "json", "show", "absent")
	e := read[struct {
		Error struct{ Code, Message, Hint string }
	}](t, result{stdout: r.stderr})
	if r.code != 1 || r.stdout != "" || e.Error.Code != "model_not_found" || !strings.Contains(e.Error.Message, "absent") || e.Error.Hint == "" {
		t.Errorf("%v", r)
	}
	// Flags after names are flags, and those after the program's name are the program's.
	if r := l.runWith("x", "infer", "probe", "--memory", "48Mi", "--id", "named"); r.code != 0 || r.stdout != "x" {
		t.Errorf("%v", r)
	}
	if r := l.run("run", "probe", "--tmp", "2Mi", "/bin/absent", "--memry"); r.code != 127 {
		t.Errorf("%v", r)
	}
	if v := read[view](t, l.run("run", "probe", "-e", "A=1,2", "/probe", "look")); !strings.Contains(strings.Join(v.Env, " "), "A=1,2") {
		t.Errorf("env %v", v.Env)
	}
	if left := tree(t, l.state); len(left) > 1 {
		t.Errorf("state has %v", left)
	}
}

// A model whose author had files of the host put into it, which the program then could print, is refused.
func TestHostSecrets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.root = l.state + "-store"
	secret := l.state + "-secret"
	l.write(secret+"/key", "a secret of the host")
	if err := os.Chmod(secret+"/key", 0o600); err != nil {
		t.Fatal(err)
	}
	dir := l.model("thief")
	if err := os.Symlink(secret, dir+"/sec"); err != nil {
		t.Fatal(err)
	}
	for _, layer := range []string{"dir: ./sec", "dir: sec/", "dir: sec, keep: [/key]", "tar: sec/key", "dir: " + secret, "tar: " + secret + "/key"} {
		l.checkFailure(l.install("thief", "rootfs: [{dir: root}, {"+layer+"}]\n"+goodRun), 1, []string{"outside the manifest's directory", "copy"})
	}
	l.checkFailure(l.install("thief", "rootfs: [{dir: root}, {closure: ["+secret+"/key]}]\n"+goodRun), 1, []string{secret + "/key", "may not read", "0600", "copy"})
	for _, path := range tree(t, l.root) {
		if info, err := os.Stat(l.root + "/" + path); err == nil && info.Mode().IsRegular() && strings.Contains(l.content(l.root+"/"+path), "a secret of the host") {
			t.Errorf("the secret is in %s", path)
		}
	}
}
