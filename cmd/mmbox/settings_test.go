package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"mmbox/models/strict"
)

// read runs a command line that reads the settings and does nothing.
func read(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	var got settings
	var failed error
	app := &cli.App{Flags: globalFlags(), Action: func(c *cli.Context) error {
		got, failed = readSettings(c)
		return nil
	}}
	if err := app.Run(append([]string{"mmbox"}, args...)); err != nil {
		t.Fatal(err)
	}
	return got, failed
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func noEnvironment(t *testing.T) {
	t.Helper()
	for _, o := range options {
		t.Setenv(o.env, "")
	}
}

// TestPrecedence: flag, environment, file, default; one of each in one call.
func TestPrecedence(t *testing.T) {
	noEnvironment(t)
	file := configFile(t, "root: /file\nstate: /file\nlogs: /file\n")
	t.Setenv("MMBOX_ROOT", "/environment")
	t.Setenv("MMBOX_STATE", "/environment")
	got, err := read(t, "--config", file, "--root", "/flag")
	if err != nil {
		t.Fatal(err)
	}
	want := []setting{
		{"root", "/flag", "--root"},
		{"state", "/environment", "$MMBOX_STATE"},
		{"logs", "/file", file},
		{"format", "table", "default"},
	}
	if !slices.Equal(got.all, want) {
		t.Errorf("got %+v, want %+v", got.all, want)
	}
	if got.root != "/flag" || got.state != "/environment" || got.logs != "/file" || got.json || got.debug {
		t.Errorf("settings are %+v", got)
	}
}

func TestSettings(t *testing.T) {
	noEnvironment(t)
	got, err := read(t, "--config", configFile(t, "{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range options {
		if want := (setting{o.name, o.standard, "default"}); got.all[i] != want {
			t.Errorf("got %+v, want %+v", got.all[i], want)
		}
	}
	if got, err = read(t, "--config", configFile(t, "format: json\n"), "--root", "relative", "--debug"); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if !got.json || !got.debug || got.root != filepath.Join(here, "relative") {
		t.Errorf("settings are %+v", got)
	}
}

func TestFormatIsOneOfTwo(t *testing.T) {
	noEnvironment(t)
	t.Setenv("MMBOX_FORMAT", "xml")
	_, err := read(t, "--config", configFile(t, "{}"))
	var bad *usage
	if want := `format "xml": write table or json`; !errors.As(err, &bad) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestStrictFile: a settings file is read as strictly as a manifest, with line and column.
func TestStrictFile(t *testing.T) {
	noEnvironment(t)
	for _, c := range []struct {
		text string
		line int
		says []string
	}{
		{"rot: /x\n", 1, []string{`"rot"`, "root"}},
		{"root: /x\nroot: /y\n", 2, []string{"root"}},
		{"root: /x\nlogs: 3\n", 2, []string{"logs"}},
		{"root: [/x]\n", 1, []string{"root"}},
		{"- root\n", 1, nil},
		{"root: /x\n  logs: /y\n", 0, nil},
	} {
		file := configFile(t, c.text)
		_, err := read(t, "--config", file)
		var bad *strict.Error
		if !errors.As(err, &bad) || !errors.Is(err, errSettings) {
			t.Errorf("%q: got %v, want a strict error of the settings", c.text, err)
			continue
		}
		if p := bad.Problems[0]; p.File != file || c.line != 0 && p.Line != c.line {
			t.Errorf("%q: %s is not in line %d of the file", c.text, p, c.line)
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q: %v does not say %s", c.text, err, says)
			}
		}
	}
	if _, err := read(t, "--config", filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that was named and is absent: %v", err)
	}
	if _, err := read(t, "--config", t.TempDir()); err == nil {
		t.Error("a directory was read as settings")
	}
}

func TestAsksForJSON(t *testing.T) {
	noEnvironment(t)
	for line, want := range map[string]bool{
		"": false, "ps": false, "--format json ps": true, "ps --format=json": true, "ps -format json": true, "ps --format table": false,
		"ps --format": false, "rm -- --format json": false, "format json": false, "ps --formats json": false,
	} {
		if got := asksForJSON(split(line)); got != want {
			t.Errorf("mmbox %s: %t, want %t", line, got, want)
		}
	}
	t.Setenv("MMBOX_FORMAT", "json")
	if !asksForJSON(split("ps")) || asksForJSON(split("ps --format table")) {
		t.Error("the environment counts where there is no flag, and only there")
	}
}
