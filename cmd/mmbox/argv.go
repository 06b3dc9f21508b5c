package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// programs are the verbs that take a program and its arguments, with how many names stand before the program.
var programs = map[string]int{"run": 1, "exec": 1}

// A line is a command line taken apart.
type line struct {
	app                  *cli.App
	verb                 *cli.Command
	global, local, names []string
	help                 bool // of the verb: then nothing else matters
}

// arrange puts a command line into the one order that the flag package takes: global flags, verb, the verb's flags,
// names. A person may write flags before or after names. What follows "--" is left alone, and so is, for a verb that
// runs a program, all that follows the program's name: it is the program's own.
func arrange(app *cli.App, args []string) ([]string, error) {
	l := &line{app: app}
	rest := args[1:]
	for len(rest) > 0 {
		word := rest[0]
		switch {
		case word == "--":
			l.names, rest = append(l.names, rest[1:]...), nil
		case isFlag(word):
			taken, err := l.flag(rest)
			if err != nil {
				return nil, err
			}
			rest = rest[taken:]
		case l.verb == nil:
			if l.verb = app.Command(word); l.verb == nil {
				return nil, l.unknownVerb(word)
			}
			rest = rest[1:]
		case l.atProgram():
			l.names, rest = append(l.names, rest...), nil
		default:
			l.names, rest = append(l.names, word), rest[1:]
		}
	}
	return l.arguments(args[0]), nil
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' && word != "--" }

func (l *line) atProgram() bool {
	before, is := programs[l.verb.Name]
	return is && len(l.names) == before
}

func (l *line) arguments(program string) []string {
	args := append([]string{program}, l.global...)
	if l.verb == nil {
		return append(args, l.names...)
	}
	args = append(args, l.verb.Name)
	if l.help {
		return append(args, "--help")
	}
	args = append(args, l.local...)
	return append(append(args, "--"), l.names...)
}

// flag takes a flag and its value from the front of rest and says how many words they are.
func (l *line) flag(rest []string) (taken int, err error) {
	word := rest[0]
	name, value, inline := strings.Cut(strings.TrimLeft(word, "-"), "=")
	flag, global := l.find(name)
	if flag == nil {
		if l.cluster(word) {
			return 1, nil
		}
		return 0, l.unknownFlag(word, name)
	}
	taken = 1
	if takesValue(flag) && !inline {
		if len(rest) < 2 {
			return 0, &usage{fmt.Sprintf("%s needs a value: see %s --help", word, l.command())}
		}
		taken = 2
	}
	l.help = l.help || l.verb != nil && flag == cli.HelpFlag
	// By its first name: cli refuses two names of one flag, as in --env A=1 -e B=2.
	words := append([]string{"--" + flag.Names()[0]}, rest[1:taken]...)
	if inline {
		words[0] += "=" + value
	}
	if global {
		l.global = append(l.global, words...)
	} else {
		l.local = append(l.local, words...)
	}
	return taken, nil
}

// find looks for a flag among the verb's and then among the global ones.
func (l *line) find(name string) (flag cli.Flag, global bool) {
	named := func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }
	if l.verb != nil {
		if slices.Contains(cli.HelpFlag.Names(), name) {
			return cli.HelpFlag, false
		}
		if i := slices.IndexFunc(l.verb.Flags, named); i >= 0 {
			return l.verb.Flags[i], false
		}
	}
	for _, f := range append(slices.Clone(l.app.Flags), cli.HelpFlag, cli.VersionFlag) {
		if named(f) {
			return f, true
		}
	}
	return nil, false
}

func takesValue(f cli.Flag) bool {
	_, isSwitch := f.(*cli.BoolFlag)
	return !isSwitch
}

// cluster takes switches written together, as in -it.
func (l *line) cluster(word string) bool {
	letters := strings.TrimPrefix(word, "-")
	if strings.HasPrefix(letters, "-") || len(letters) < 2 {
		return false
	}
	var switches []string
	for _, letter := range letters {
		flag, global := l.find(string(letter))
		if flag == nil || global || takesValue(flag) {
			return false
		}
		switches = append(switches, "--"+flag.Names()[0])
	}
	l.local = append(l.local, switches...)
	return true
}

func (l *line) command() string {
	if l.verb == nil {
		return "mmbox"
	}
	return "mmbox " + l.verb.Name
}

func (l *line) unknownVerb(word string) error {
	hint := "see mmbox --help"
	suggestion := cli.SuggestCommand(l.app.Commands, word)
	if near := strings.TrimSuffix(strings.TrimPrefix(suggestion, `Did you mean "`), `"?`); alike(word, near) {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return &usage{fmt.Sprintf("unknown verb %q: %s", word, hint)}
}

// alike tells whether a suggestion is worth making: there is always a nearest word, however far it is.
func alike(word, near string) bool {
	return near != "" && word != "" && near[0] == word[0] && max(len(word)-len(near), len(near)-len(word)) <= 2
}

func (l *line) unknownFlag(word, name string) error {
	flags := slices.Clone(l.app.Flags)
	if l.verb != nil {
		flags = append(slices.Clone(l.verb.Flags), flags...)
	}
	hint := ""
	if near := cli.SuggestFlag(flags, name, false); alike(name, strings.TrimLeft(near, "-")) {
		hint = "did you mean " + near + "? "
	}
	return &usage{fmt.Sprintf("unknown flag %q: %ssee %s --help", word, hint, l.command())}
}
