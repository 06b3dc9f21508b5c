package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the tests run, and where. Set once by TestMain.
var (
	mmbox    string // the command
	probe    string // the program inside
	examples string // models/examples
	base     string // all the tests' files: a sandbox's user can reach it
	inVM     = os.Getenv("MMBOX_VM") != ""
)

func TestMain(m *testing.M) {
	code, err := everything(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func everything(m *testing.M) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("these tests make sandboxes: run them as root")
	}
	if base, err = os.MkdirTemp("/var/tmp", "mmbox-e2e-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o755); err != nil {
		return 1, err
	}
	if err := programs(); err != nil {
		return 1, err
	}
	before := mounts()
	if err := installModels(); err != nil {
		return 1, err
	}
	code = m.Run()
	if after := mounts(); after != before {
		return code, fmt.Errorf("the host's mounts changed:\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if left := processesBelow(base); len(left) > 0 {
		return code, fmt.Errorf("processes are left: %s", strings.Join(left, "; "))
	}
	return code, nil
}

// programs finds or builds what the tests run.
func programs() (err error) {
	for _, p := range []struct {
		path *string
		env  string
		args []string
	}{
		{&mmbox, "MMBOX_BIN", []string{"CGO_ENABLED=1", "-tags", "seccomp netgo osusergo runc_nocriu urfave_cli_no_docs", "-ldflags", "-s -w -linkmode external -extldflags -static", "mmbox/cmd/mmbox"}},
		{&probe, "MMBOX_PROBE", []string{"CGO_ENABLED=0", "-ldflags", "-s -w", "mmbox/test/e2e/probe"}},
	} {
		if *p.path = os.Getenv(p.env); *p.path != "" {
			if *p.path, err = filepath.Abs(*p.path); err != nil {
				return err
			}
			if _, err := os.Stat(*p.path); err != nil {
				return fmt.Errorf("$%s: %w", p.env, err)
			}
			continue
		}
		*p.path = filepath.Join(base, filepath.Base(p.args[len(p.args)-1]))
		build := exec.Command("go", append([]string{"build", "-o", *p.path}, p.args[1:]...)...)
		build.Env = append(os.Environ(), p.args[0])
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build (or set $%s): %w\n%s", p.env, err, out)
		}
	}
	examples = os.Getenv("MMBOX_EXAMPLES")
	if examples == "" {
		examples = "../../models/examples"
	}
	examples, err = filepath.Abs(examples)
	return err
}

func mounts() string {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		panic(err)
	}
	return string(content)
}

const shellManifest = `schema: mmbox/v1
name: shell
version: 1.0.0
rootfs: [{dir: root}]
run:
  infer: {args: [/bin/sh, -c, "read -r line; echo got $line"]}
resources: {cpu: 1, memory: 32Mi, pids: 16, tmp: 1Mi}
`

const probeManifest = `schema: mmbox/v1
name: probe
version: 1.0.0
rootfs: [{dir: root}]
run:
  infer: {args: [/probe, echo]}
  serve: {args: [/probe, trap], protocol: lines}
resources: {cpu: 1, memory: 32Mi, pids: 32, tmp: 1Mi}
`

// installModels installs the two models of most tests: probe, and shell, which is busybox.
func installModels() error {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w: install busybox-static", err)
	}
	self, err := os.ReadFile(probe)
	if err != nil {
		return err
	}
	models := filepath.Join(base, "models")
	for path, content := range map[string]string{
		"shell/model.yaml": shellManifest, "shell/root/bin/busybox": string(busybox),
		"probe/model.yaml": probeManifest, "probe/root/probe": string(self),
	} {
		path = filepath.Join(models, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			return err
		}
	}
	for _, applet := range []string{"sh", "sleep", "stty", "cat"} {
		if err := os.Symlink("busybox", filepath.Join(models, "shell/root/bin", applet)); err != nil {
			return err
		}
	}
	for _, name := range []string{"shell", "probe"} {
		install := exec.Command(mmbox, "--root", filepath.Join(base, "store"), "install", filepath.Join(models, name))
		if out, err := install.CombinedOutput(); err != nil {
			return fmt.Errorf("install %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
