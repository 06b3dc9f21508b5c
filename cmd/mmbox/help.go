package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// printHelp writes the help of the command or of a verb. cli's own repeats each flag that may be given twice, says of
// every switch that it is off unless given, and sorts the groups of verbs by name.
func printHelp(w io.Writer, _ string, of any) {
	switch of := of.(type) {
	case *cli.App:
		appHelp(w, of)
	case *cli.Command:
		verbHelp(w, of)
	}
}

func appHelp(w io.Writer, app *cli.App) {
	fmt.Fprintf(w, "%s: %s\n\nusage: %s VERB [FLAG...] [NAME...]\n", app.Name, app.Usage, app.Name)
	columns := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	group := ""
	for _, verb := range app.Commands {
		if verb.Hidden {
			continue
		}
		if verb.Category != group {
			group = verb.Category
			fmt.Fprintf(columns, "\n%s\n", group)
		}
		fmt.Fprintf(columns, "  %s\t%s\n", verb.Name, verb.Usage)
	}
	fmt.Fprintf(columns, "\nFlags, before or after the verb\n")
	flagHelp(columns, app.Flags)
	_ = columns.Flush() // cli hears of no error
	fmt.Fprintf(w, "\n%s VERB --help says more about a verb.\n", app.Name)
}

func verbHelp(w io.Writer, verb *cli.Command) {
	usage := "mmbox " + verb.Name
	if len(verb.Flags) > 0 {
		usage += " [FLAG...]"
	}
	fmt.Fprintf(w, "mmbox %s: %s\n\nusage: %s\n", verb.Name, verb.Usage, strings.TrimSpace(usage+" "+verb.ArgsUsage))
	if verb.Description != "" {
		fmt.Fprintf(w, "\n%s\n", verb.Description)
	}
	columns := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(columns, "\nFlags, before or after names\n")
	flagHelp(columns, verb.Flags)
	_ = columns.Flush() // cli hears of no error
	fmt.Fprintf(w, "\nmmbox --help shows the flags that every verb has.\n")
}

// flagHelp writes a line for each flag: its short name first, then what its value is, then what it does.
func flagHelp(w io.Writer, flags []cli.Flag) {
	for _, f := range flags {
		documented, is := f.(cli.DocGenerationFlag)
		if !is || f.String() == "" {
			continue
		}
		name, short := "--"+f.Names()[0], "    "
		for _, other := range f.Names()[1:] {
			short = "-" + other + ", "
		}
		placeholder, usage := value(documented.GetUsage())
		if placeholder != "" {
			name += " " + placeholder
		}
		if _, many := f.(*cli.StringSliceFlag); many {
			usage += "; may be given again"
		}
		if standard := standard(f); standard != "" {
			usage += " (default: " + standard + ")"
		}
		fmt.Fprintf(w, "  %s%s\t%s\n", short, name, usage)
	}
}

// value takes the word in backquotes, a flag's value, out of its description.
func value(usage string) (placeholder, text string) {
	before, rest, found := strings.Cut(usage, "`")
	if !found {
		return "", usage
	}
	placeholder, after, _ := strings.Cut(rest, "`")
	return placeholder, before + placeholder + after
}

// standard is what a flag is where it is not given, or empty where that goes without saying.
func standard(f cli.Flag) string {
	switch f := f.(type) {
	case *cli.StringFlag:
		return f.Value
	case *cli.DurationFlag:
		if f.Value != 0 {
			return f.Value.String()
		}
	}
	return ""
}
