package main

import (
	"strings"
	"testing"
)

func help(t *testing.T, line string) string {
	t.Helper()
	for _, o := range options {
		t.Setenv(o.env, "")
	}
	m, stdout, stderr := files(t)
	if code := command(append([]string{"mmbox"}, split(line)...), m.stdin, m.stdout, m.stderr); code != 0 || stderr() != "" {
		t.Fatalf("mmbox %s: exit %d, %s", line, code, stderr())
	}
	return stdout()
}

// TestHelp: every verb and every flag is there, in groups that stand in the order of a model's life.
func TestHelp(t *testing.T) {
	all := help(t, "--help")
	at := -1
	for _, group := range []string{"\nModels\n", "\nSandboxes\n", "\nHost\n", "\nFlags"} {
		next := strings.Index(all, group)
		if next <= at {
			t.Errorf("%q is not behind the group before it:\n%s", group, all)
		}
		at = next
	}
	app := new(mmbox).app()
	for _, verb := range app.Commands {
		if shown := strings.Contains(all, "\n  "+verb.Name+" "); shown == verb.Hidden {
			t.Errorf("verb %s: shown %t, hidden %t", verb.Name, shown, verb.Hidden)
		}
		text := help(t, verb.Name+" --help")
		if want := "mmbox " + verb.Name + ": " + verb.Usage + "\n\nusage: mmbox " + verb.Name; !strings.HasPrefix(text, want) {
			t.Errorf("mmbox %s --help does not begin with %q:\n%s", verb.Name, want, text)
		}
		for _, f := range verb.Flags {
			if n := strings.Count(text, "--"+f.Names()[0]+" "); n < 1 {
				t.Errorf("mmbox %s --help does not show --%s:\n%s", verb.Name, f.Names()[0], text)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > 130 {
				t.Errorf("mmbox %s --help: a line of %d bytes: %s", verb.Name, len(line), line)
			}
		}
	}
}

func TestHelpOfFlags(t *testing.T) {
	text := help(t, "stop x --help")
	want := `mmbox stop: end sandboxes: by their stop signal, and after a while by force

usage: mmbox stop [FLAG...] ID...

Returns when each has ended. Stopping what is stopped, or does not exist, does nothing.

Flags, before or after names
      --time TIME   kill it after TIME (default: 10s)
  -h, --help        show help

mmbox --help shows the flags that every verb has.
`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}
