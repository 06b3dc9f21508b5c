package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the command as well: the scripts run it as mmbox, and so do libcontainer, which
// executes itself inside the namespaces, and start, which leaves a supervisor.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mmbox": main})
}

// TestScripts runs testdata/script, the specification of the command line. Every script has directories of its own, with
// busybox beside its files, and at its end nothing of its sandboxes may be left.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("the scripts make sandboxes: run them as root")
	}
	work, err := os.MkdirTemp("/var/tmp", "mmbox-script-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	// A sandbox's user reaches its root through here.
	if err := os.Chmod(work, 0o755); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         work,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setupScript,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": codeCommand},
	})
}

func setupScript(env *testscript.Env) error {
	for _, dir := range []string{"root", "state", "logs"} {
		env.Setenv("MMBOX_"+strings.ToUpper(dir), filepath.Join(env.WorkDir, "."+dir))
	}
	env.Setenv("NO_COLOR", "1")
	// A model's directory gets a root with busybox, which needs nothing else.
	models, err := filepath.Glob(filepath.Join(env.WorkDir, "*", "model.yaml"))
	if err != nil {
		return err
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w: install busybox-static", err)
	}
	for _, model := range models {
		bin := filepath.Join(filepath.Dir(model), "root", "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(bin, "busybox"), busybox, 0o755); err != nil {
			return err
		}
		for _, applet := range []string{"sh", "cat", "sleep", "echo"} {
			if err := os.Symlink("busybox", filepath.Join(bin, applet)); err != nil {
				return err
			}
		}
	}
	env.Defer(func() {
		left, err := filepath.Glob(filepath.Join(env.WorkDir, ".state", "[a-z0-9]*"))
		for _, path := range left {
			if filepath.Base(path) != "lock" {
				env.T().Log("left behind:", path)
				err = fmt.Errorf("a script must end with nothing left")
			}
		}
		if err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}

// codeCommand runs a command and holds it to an exit code: code N COMMAND...
func codeCommand(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit code %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
