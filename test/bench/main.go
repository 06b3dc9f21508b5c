package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// options are what a person asked for.
type options struct {
	mmbox    string
	runs     int // of each contender in the tight loop
	isolated int // starts of each contender with a second before each
	json     string
	only     []string
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !inside() {
		os.Exit(enter())
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err = bench(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.mmbox, "mmbox", "bin/mmbox", "the `FILE` to measure")
	flags.IntVar(&o.runs, "runs", 100, "start each contender `N` times in a tight loop")
	flags.IntVar(&o.isolated, "isolated", 10, "start each contender `N` times with a second before each")
	flags.StringVar(&o.json, "json", "", "write the figures to `FILE` as well")
	only := flags.String("only", "", "measure these `CONTENDERS`, separated by commas: "+strings.Join(contenderNames(), ","))
	quick := flags.Bool("quick", false, "few starts, to see that it works: not a measurement")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q: bench takes flags only", flags.Arg(0))
	}
	if *quick {
		o.runs, o.isolated = 5, 1
	}
	if o.runs < 1 || o.isolated < 1 {
		return o, fmt.Errorf("--runs %d --isolated %d: write at least 1", o.runs, o.isolated)
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	var err error
	o.mmbox, err = filepath.Abs(o.mmbox)
	return o, err
}

// bench measures, prints and leaves nothing behind.
func bench(ctx context.Context, o options) (err error) {
	list, err := choose(o.only)
	if err != nil {
		return err
	}
	if err := present(list, o.mmbox); err != nil {
		return err
	}
	if err := provide(ctx, list); err != nil {
		return err
	}
	f, err := newFixture(ctx, o.mmbox)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	report := report{Schema: 1, Runs: o.runs, Isolated: o.isolated}
	if report.Host, err = describe(ctx, list); err != nil {
		return err
	}
	report.Host.HiddenV2 = f.hidden
	report.Host.print(os.Stdout)
	if err := f.measure(ctx, o, list, &report); err != nil {
		return err
	}
	report.Budgets = budgets(report.Series)
	report.print(os.Stdout)
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o644)
}
