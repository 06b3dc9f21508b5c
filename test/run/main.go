package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	only := flag.String("only", "", "run only these `TIERS`, separated by commas")
	skip := flag.String("skip", "", "leave these `TIERS` out, separated by commas")
	verbose := flag.Bool("v", false, "print the output of passing tests too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	chosen, err := choose(split(*only), split(*skip))
	if err != nil {
		fmt.Fprintf(os.Stderr, "run: %v\n", err)
		os.Exit(2)
	}
	if !runAll(ctx, chosen, *verbose) {
		os.Exit(1)
	}
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// A choice is a tier and whether it runs.
type choice struct {
	tier
	left bool // out, on purpose
}

func choose(only, skip []string) ([]choice, error) {
	var known []string
	var chosen []choice
	for _, t := range tiers {
		known = append(known, t.name)
		left := slices.Contains(skip, t.name) || len(only) > 0 && !slices.Contains(only, t.name)
		chosen = append(chosen, choice{t, left})
	}
	for _, name := range append(only, skip...) {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no tier %q: write %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// runAll runs the tiers in order and goes on after one has failed, so that one run tells all.
func runAll(ctx context.Context, chosen []choice, verbose bool) bool {
	var all tally
	ok := true
	var summary []string
	for _, c := range chosen {
		if c.left {
			summary = append(summary, fmt.Sprintf("%-8s left out, as asked", c.name))
			continue
		}
		fmt.Printf("== %s: %s\n", c.name, c.what)
		began := time.Now()
		count, err := c.run(ctx, verbose)
		if err == nil && count.ran() == 0 {
			err = fmt.Errorf("no test ran")
		}
		line := fmt.Sprintf("%-8s %d passed, %d failed, %d skipped, in %s", c.name, count.passed, count.failed, len(count.skipped), time.Since(began).Round(time.Second))
		if err != nil {
			line += fmt.Sprintf(": FAILED: %v", err)
		}
		ok = ok && err == nil && count.failed == 0
		summary = append(summary, line)
		for _, s := range count.skipped {
			summary = append(summary, "           skipped "+s)
		}
		all.add(count)
		if err != nil && count.failed == 0 {
			all.failed++ // the tier itself
		}
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\n%s\n\n%d passed, %d failed, %d skipped\n", strings.Join(summary, "\n"), all.passed, all.failed, len(all.skipped))
	return ok
}
