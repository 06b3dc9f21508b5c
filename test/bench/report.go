package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A report is all that was measured.
type report struct {
	Schema   int      `json:"schema_version"`
	Runs     int      `json:"runs"`
	Isolated int      `json:"isolated_runs"`
	Host     host     `json:"host"`
	Series   []series `json:"series"`
	Calls    []calls  `json:"system_calls"`
	Phases   []phase  `json:"phases,omitempty"` // ours, with filter, in a tight loop
	Budgets  []budget `json:"budgets"`
}

func (r report) print(w io.Writer) {
	for _, filter := range []bool{true, false} {
		for _, mode := range []string{tight, isolated, eight} {
			r.printMode(w, mode, filter)
		}
	}
	fmt.Fprintln(w, "\ntimes in ms; cpu is processor time; calls are system calls without those of scheduling, counted apart")
	if len(r.Phases) > 0 {
		fmt.Fprintf(w, "\nwhere our start goes (medians of a tight loop, with filter)\n")
		for _, p := range r.Phases {
			fmt.Fprintf(w, "  %-8s %6.2f ms  %s\n", p.Name, p.MedianMS, p.about)
		}
	}
	if len(r.Budgets) == 0 {
		return
	}
	fmt.Fprintf(w, "\nbudgets (with filter)\n")
	for _, b := range r.Budgets {
		verdict := "met"
		if !b.Met {
			verdict = "NOT MET"
		}
		fmt.Fprintf(w, "  %-10s  ≤ %.1f × %-4s  is %.2f  %s\n", b.Mode, b.Most, b.Against, b.Ratio, verdict)
	}
}

func (r report) printMode(w io.Writer, mode string, filter bool) {
	with := "with filter"
	if !filter {
		with = "without filter"
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	first := true
	for _, s := range r.Series {
		if s.Mode != mode || s.Filter != filter {
			continue
		}
		if first {
			fmt.Fprintf(w, "\n%s, %s: %d starts each, in turns\n", mode, with, s.Samples)
			fmt.Fprintln(table, "\tmedian\tp99\tleast\tcpu\tcalls\t× crun\t× runc\t")
			first = false
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t\n", s.Contender, s.MedianMS, s.P99MS, s.LeastMS, s.CPUMS,
			r.callsOf(s.Contender, filter), times(s.Ratio, crun), times(s.Ratio, runcNew))
	}
	table.Flush() // its errors are the writer's, which is standard output
}

func (r report) callsOf(name string, filter bool) string {
	for _, c := range r.Calls {
		if c.Contender == name && c.Filter == filter {
			return fmt.Sprint(c.Calls)
		}
	}
	return "-"
}

func times(ratio map[string]float64, name string) string {
	if r, ok := ratio[name]; ok {
		return strings.TrimSpace(fmt.Sprintf("%.2f", r))
	}
	return "-"
}
