package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mmbox/isolation"
	"mmbox/models"
	"mmbox/rootfs"
	"mmbox/runtime"
)

// failures has a row for each code of the closed list.
var failures = []struct {
	err  error
	code string
	exit int
	hint bool
}{
	{errors.New("something"), "failed", 1, false},
	{&usage{"unknown verb"}, "usage", 2, false},
	{fmt.Errorf("sandbox: %w", errTimeout), "timeout", 124, false},
	{context.Canceled, "interrupted", 130, false},
	{&interruption{unix.SIGINT}, "interrupted", 130, false},
	{&interruption{unix.SIGTERM}, "interrupted", 143, false},
	{&interruption{unix.SIGHUP}, "interrupted", 129, false},
	{models.ErrNotFound, "model_not_found", 1, true},
	{models.ErrExists, "model_exists", 1, false},
	{models.ErrDamaged, "model_damaged", 1, true},
	{rootfs.ErrNotSupported, "not_supported", 1, false},
	{runtime.ErrNotFound, "sandbox_not_found", 1, true},
	{runtime.ErrExists, "sandbox_exists", 1, true},
	{runtime.ErrRunning, "sandbox_running", 1, true},
	{runtime.ErrStopped, "sandbox_not_running", 1, true},
	{runtime.ErrPaused, "sandbox_paused", 1, true},
	{runtime.ErrNotPaused, "sandbox_not_paused", 1, false},
	{runtime.ErrBadID, "bad_id", 1, false},
	{errInUse, "model_in_use", 1, false},
	{isolation.ErrUnsupported, "host_unsupported", 1, true},
	{isolation.ErrNoRange, "no_user_ids", 1, false},
	{&fs.PathError{Op: "write", Path: "/x", Err: unix.ENOSPC}, "disk_full", 1, true},
	{&fs.PathError{Op: "open", Path: "/x", Err: unix.EROFS}, "read_only", 1, true},
	{&fs.PathError{Op: "open", Path: "/x", Err: unix.EACCES}, "permission", 1, true},
	{&fs.PathError{Op: "open", Path: "/x", Err: unix.EPERM}, "permission", 1, true},
	{&fs.PathError{Op: "open", Path: "/x", Err: unix.ENOENT}, "not_found", 1, false},
	{&models.ManifestError{Problems: []models.Problem{{File: "model.yaml", Message: "no name"}}}, "bad_manifest", 1, false},
	{fmt.Errorf("read: %w", errSettings), "bad_settings", 1, true},
	{&programError{fmt.Errorf("%q: %w", "/x", rootfs.ErrNoProgram), 127}, "program_not_found", 127, false},
	{&programError{fmt.Errorf("%q: %w", "/x", rootfs.ErrNotExecutable), 126}, "program_not_found", 126, false},
}

func TestExplain(t *testing.T) {
	reached := map[string]bool{}
	for _, c := range failures {
		for _, err := range []error{c.err, fmt.Errorf("some verb: %w", c.err), errors.Join(errors.New("also"), c.err)} {
			f := explain(err)
			if f.Code != c.code || f.exit != c.exit || (f.Hint != "") != c.hint || f.Message != err.Error() {
				t.Errorf("%v: got %+v, want code %s, exit %d, hint %t", err, f, c.code, c.exit, c.hint)
			}
		}
		reached[c.code] = true
	}
	for _, c := range codes {
		if !reached[c.code] {
			t.Errorf("no test reaches the code %s", c.code)
		}
	}
}

func TestExplainLaunch(t *testing.T) {
	f := explain(&runtime.LaunchError{ID: "x", Code: 126, Err: unix.EACCES})
	if f.exit != 126 {
		t.Errorf("a program that cannot be executed: exit %d, want 126", f.exit)
	}
	f = explain(withHint(models.ErrNotFound, "try %s", "this"))
	if f.Code != "model_not_found" || f.Hint != "try this" {
		t.Errorf("an error with a hint of its own: %+v", f)
	}
	if withHint(nil, "x") != nil {
		t.Error("no error with a hint is an error")
	}
}

func TestFail(t *testing.T) {
	for _, c := range []struct {
		about  string
		err    error
		json   bool
		runs   bool
		exit   int
		stderr string
	}{
		{"no error", nil, false, true, 0, ""},
		{"the program's own code", fmt.Errorf("run: %w", &exit{7}), false, true, 7, ""},
		{"a hint", fmt.Errorf("open: %w", runtime.ErrNotFound), false, false, 1,
			"mmbox: open: no such sandbox\n  mmbox ps --all lists all sandboxes\n"},
		{"of a verb that runs a program", errors.New("x"), false, true, 125, "mmbox: x\n"},
		{"usage of a verb that runs a program", &usage{"x"}, false, true, 2, "mmbox: x\n"},
		{"as JSON", fmt.Errorf("open: %w", runtime.ErrNotFound), true, false, 1,
			`{"error":{"code":"sandbox_not_found","message":"open: no such sandbox","hint":"mmbox ps --all lists all sandboxes"}}` + "\n"},
		{"as JSON without a hint", errors.New("a\n\"b\""), true, false, 1, `{"error":{"code":"failed","message":"a\n\"b\""}}` + "\n"},
	} {
		m, stdout, stderr := files(t)
		m.settings.json, m.runs = c.json, c.runs
		if got := m.fail(c.err); got != c.exit {
			t.Errorf("%s: exit %d, want %d", c.about, got, c.exit)
		}
		if stderr() != c.stderr || stdout() != "" {
			t.Errorf("%s: stderr %q, stdout %q; want %q and nothing", c.about, stderr(), stdout(), c.stderr)
		}
	}
}

// TestCommandFails runs whole command lines that fail before anything is touched.
func TestCommandFails(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{"MMBOX_ROOT": dir + "/root", "MMBOX_STATE": dir + "/state", "MMBOX_LOGS": dir + "/logs", "MMBOX_FORMAT": ""} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		args string
		exit int
		code string
	}{
		{"nosuch", 2, "usage"},
		{"ps --nosuch", 2, "usage"},
		{"ps extra", 2, "usage"},
		{"stop", 2, "usage"},
		{"bundle one", 2, "usage"},
		{"stop x --time soon", 2, "usage"},
		{"run nosuch --pids many", 2, "usage"},
		{"schema nosuch", 2, "usage"},
		{"config nosuch", 2, "usage"},
		{"show nosuch", 1, "model_not_found"},
		{"inspect nosuch", 1, "sandbox_not_found"},
		{"run nosuch", 125, "model_not_found"},
		{"exec nosuch /p", 125, "sandbox_not_found"},
		{"--config " + dir + "/nosuch ps", 1, "not_found"},
	} {
		m, stdout, stderr := files(t)
		got := command(append([]string{"mmbox", "--format", "json"}, split(c.args)...), m.stdin, m.stdout, m.stderr)
		var report struct{ Error failure }
		if err := json.Unmarshal([]byte(stderr()), &report); err != nil {
			t.Errorf("mmbox %s: stderr is no JSON: %v\n%s", c.args, err, stderr())
			continue
		}
		if got != c.exit || report.Error.Code != c.code || stdout() != "" {
			t.Errorf("mmbox %s: exit %d, %+v, stdout %q; want exit %d and code %s", c.args, got, report.Error, stdout(), c.exit, c.code)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "logs" }) {
		t.Errorf("failing made %v, %v", entries, err)
	}
}

// TestReadmeNamesCodes: the list of codes that the README promises is the list that there is.
func TestReadmeNamesCodes(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "Codes do not change their meaning: ")
	list, _, _ := strings.Cut(after, ".\n")
	if !found {
		t.Fatal("the README has no list of codes")
	}
	var want []string
	for _, f := range failures {
		want = append(want, f.code)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if got := strings.Fields(strings.ReplaceAll(list, "`", "")); !slices.Equal(got, want) {
		t.Errorf("the README has\n%v\nand there are\n%v", got, want)
	}
}
