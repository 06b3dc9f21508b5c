package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func split(line string) []string {
	if line == "" {
		return nil
	}
	return strings.Split(line, " ")
}

// TestArrange: what a person writes, and the one order that the flag package takes. A verb's names follow "--".
func TestArrange(t *testing.T) {
	for _, c := range []struct{ about, in, want string }{
		{"nothing", "", ""},
		{"a verb", "ps", "ps --"},
		{"flags before names", "rm --force a b", "rm --force -- a b"},
		{"flags after names", "rm a b --force", "rm --force -- a b"},
		{"flags between names", "rm a -f b", "rm --force -- a b"},
		{"a value of its own", "stop a --time 3s", "stop --time 3s -- a"},
		{"a value after =", "stop a --time=3s", "stop --time=3s -- a"},
		{"a value that looks like a flag", "logs a --tail -1", "logs --tail -1 -- a"},
		{"a value that looks like a verb", "run --id stop m", "run --id stop -- m"},
		{"an empty value", "run m --id=", "run --id= -- m"},
		{"one dash", "rm a -force", "rm --force -- a"},
		{"a switch with a value", "rm a --force=false", "rm --force=false -- a"},
		{"a short name with a value", "run -m 64Mi m", "run --memory 64Mi -- m"},
		{"the same flag twice", "run -e A=1 m -e B=2,3", "run --env A=1 --env B=2,3 -- m"},
		{"the same flag by two names", "run -e A=1 m --env=B=2", "run --env A=1 --env=B=2 -- m"},
		{"global flags first", "--format json ps -a", "--format json ps --all --"},
		{"global flags last", "ps -a --format json", "--format json ps --all --"},
		{"global flags in the middle", "rm a --root /r b -f", "--root /r rm --force -- a b"},
		{"a dash is a name", "rm -", "rm -- -"},
		{"-- ends the flags", "rm -- -f --force", "rm -- -f --force"},
		{"a second -- is a name", "rm a -- -- b", "rm -- a -- b"},
		{"help of a verb", "ps --help", "ps --help"},
		{"help of a verb, after a name", "rm a -h -f", "rm --help"},
		{"help before a verb", "--help ps", "--help ps --"},
		{"a cluster", "run -it m", "run --interactive --tty -- m"},
		{"a cluster after the name", "ps -qa", "ps --quiet --all --"},
		{"a program's flags are its own", "run m /p --id x -t", "run -- m /p --id x -t"},
		{"flags before the program are ours", "run m -t --id x /p --id y", "run --tty --id x -- m /p --id y"},
		{"a program behind --", "run m -- /p -t", "run -- m /p -t"},
		{"a program's own --", "run m /p -- -x", "run -- m /p -- -x"},
		{"exec", "exec -t a /p -c x --help", "exec --tty -- a /p -c x --help"},
		{"exec behind --", "exec a -- /p -- -c", "exec -- a /p -- -c"},
		{"a program named like a flag needs --", "run m -- --odd", "run -- m --odd"},
	} {
		got, err := arrange(new(mmbox).app(), append([]string{"mmbox"}, split(c.in)...))
		if err != nil {
			t.Errorf("%s: mmbox %s: %v", c.about, c.in, err)
			continue
		}
		if want := append([]string{"mmbox"}, split(c.want)...); !slices.Equal(got, want) {
			t.Errorf("%s: mmbox %s\ngot  %q\nwant %q", c.about, c.in, got, want)
		}
	}
}

func TestArrangeRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"instal x", `unknown verb "instal": did you mean install? see mmbox --help`},
		{"modles", `unknown verb "modles": did you mean models? see mmbox --help`},
		{"qqqqqqqqq", `unknown verb "qqqqqqqqq": see mmbox --help`},
		{"--nosuch", `unknown flag "--nosuch": see mmbox --help`},
		{"--=x", `unknown flag "--=x": see mmbox --help`},
		{"--formt json ps", `unknown flag "--formt": did you mean --format? see mmbox --help`},
		{"rm a --forse", `unknown flag "--forse": did you mean --force? see mmbox rm --help`},
		{"ps --form json", `unknown flag "--form": did you mean --format? see mmbox ps --help`},
		{"rm a -x", `unknown flag "-x": `},
		{"run -ix m", `unknown flag "-ix": `},
		{"run -im m", `unknown flag "-im": `}, // -m takes a value
		{"stop a --time", "--time needs a value: see mmbox stop --help"},
		{"--root", "--root needs a value: see mmbox --help"},
		{"ps --root", "--root needs a value: see mmbox ps --help"},
		{"rm --memory 3 a", `unknown flag "--memory": `},
	} {
		got, err := arrange(new(mmbox).app(), append([]string{"mmbox"}, split(c.in)...))
		var bad *usage
		if !errors.As(err, &bad) {
			t.Errorf("mmbox %s: got %q, %v; want a usage error", c.in, got, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("mmbox %s:\ngot  %v\nwant %s", c.in, err, c.want)
		}
	}
}

// TestVerbs: each verb says what it does, and no flag of a verb hides a global one or is described twice.
func TestVerbs(t *testing.T) {
	app := new(mmbox).app()
	global := map[string]bool{"help": true, "h": true, "version": true, "v": true}
	for _, f := range app.Flags {
		for _, name := range f.Names() {
			global[name] = true
		}
	}
	for _, verb := range app.Commands {
		if verb.Usage == "" || strings.HasSuffix(verb.Usage, ".") {
			t.Errorf("%s: its one line is %q", verb.Name, verb.Usage)
		}
		own := map[string]bool{}
		for _, f := range verb.Flags {
			for _, name := range f.Names() {
				if own[name] || global[name] {
					t.Errorf("%s: two flags are called %s", verb.Name, name)
				}
				own[name] = true
			}
		}
	}
	for verb := range programs {
		if app.Command(verb) == nil {
			t.Errorf("no verb %s", verb)
		}
	}
}

// FuzzArrange: whatever is written, the words behind "--" come last, whole and in their order, and a second arranging
// changes nothing.
func FuzzArrange(f *testing.F) {
	for _, line := range []string{"run m /p -x", "ps -qa --format json", "exec -t a -- /p", "rm -- -f", "--", "- -", "run -it --id= m"} {
		f.Add(line)
	}
	app := new(mmbox).app()
	f.Fuzz(func(t *testing.T, line string) {
		words := append([]string{"mmbox"}, split(line)...)
		got, err := arrange(app, words)
		if err != nil {
			return
		}
		again, err := arrange(app, got)
		if err != nil || !slices.Equal(got, again) {
			t.Fatalf("arranged %q again: %q, %v", got, again, err)
		}
		if i := slices.Index(words, "--"); i >= 0 && !slices.Contains(words[1:i], "run") && !slices.Contains(words[1:i], "exec") {
			tail := words[i+1:]
			if len(got) < len(tail) || !slices.Equal(got[len(got)-len(tail):], tail) {
				t.Fatalf("%q became %q: %q is not at its end", words, got, tail)
			}
		}
	})
}

// files returns an mmbox whose outputs are files, and what reads them.
func files(t *testing.T) (m *mmbox, stdout, stderr func() string) {
	t.Helper()
	file := func() (*os.File, func() string) {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, func() string {
			text, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	m = &mmbox{stdin: os.Stdin}
	m.stdout, stdout = file()
	m.stderr, stderr = file()
	return m, stdout, stderr
}
