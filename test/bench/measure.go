package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// patience is how long one start may take.
const patience = 30 * time.Second

// A sample is one start, from before the contender's process is made until it is reaped. The processor time is that of
// the process and of all descendants that were waited for.
type sample struct {
	wall, cpu time.Duration
}

// The modes in which starts are measured.
const (
	tight    = "tight loop"
	isolated = "isolated"
	eight    = "8 at once"
)

// A round is how a mode starts a contender: so many at once, after a pause.
type round struct {
	mode  string
	count int
	width int
	pause time.Duration
}

func rounds(o options) []round {
	return []round{
		{tight, o.runs, 1, 0},
		{isolated, o.isolated, 1, time.Second},
		{eight, max(1, o.runs/(2*atOnce)), atOnce, 0},
	}
}

// measure fills a report. System calls are counted apart: tracing slows a start down.
func (f *fixture) measure(ctx context.Context, o options, list []*contender, r *report) error {
	for _, filter := range []bool{true, false} {
		for _, round := range rounds(o) {
			fmt.Fprintf(os.Stderr, "bench: %s, filter %t: %d rounds\n", round.mode, filter, round.count)
			samples, err := f.interleave(ctx, list, round, filter)
			if err != nil {
				return err
			}
			for _, c := range list {
				r.Series = append(r.Series, summarize(c.name, round.mode, filter, samples[c.name]))
			}
		}
		for _, c := range list {
			n, err := f.calls(ctx, c, slot{filter: filter})
			if err != nil {
				return err
			}
			r.Calls = append(r.Calls, calls{c.name, filter, n})
		}
	}
	relate(r.Series)
	for _, c := range list {
		if c.name != ours {
			continue
		}
		var err error
		if r.Phases, err = f.phases(ctx, min(o.runs, 50)); err != nil {
			return err
		}
	}
	return nil
}

// interleave starts every contender once in each round. A first round, which fills caches, does not count.
func (f *fixture) interleave(ctx context.Context, list []*contender, r round, filter bool) (map[string][]sample, error) {
	samples := map[string][]sample{}
	for i := range r.count + 1 {
		for _, c := range list {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(r.pause):
			}
			got, err := f.together(ctx, c, r.width, filter)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.name, r.mode, err)
			}
			if i > 0 {
				samples[c.name] = append(samples[c.name], got...)
			}
		}
	}
	return samples, nil
}

// together starts a contender several times at once and returns when all have ended.
func (f *fixture) together(ctx context.Context, c *contender, width int, filter bool) ([]sample, error) {
	samples, errs := make([]sample, width), make([]error, width)
	done := make(chan int, width)
	for n := range width {
		go func() {
			samples[n], errs[n] = f.start(ctx, c, slot{n, filter})
			done <- n
		}()
	}
	for range width {
		<-done
	}
	return samples, errors.Join(errs...)
}

// start runs a contender once in a slot that no other start uses.
func (f *fixture) start(ctx context.Context, c *contender, s slot) (sample, error) {
	return f.timed(ctx, s, f.line(c, s))
}

func (f *fixture) line(c *contender, s slot) []string {
	program := c.program
	if program == "" {
		program = filepath.Join(f.root, "true")
	}
	return append([]string{program}, c.args(f, s)...)
}

func (f *fixture) timed(ctx context.Context, s slot, line []string) (_ sample, err error) {
	// An interrupt lets a start come to its end: a runtime that is killed leaves its container behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	said, err := os.CreateTemp(f.dir, "stderr-")
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, said.Close(), os.Remove(said.Name())) }()
	filter, err := os.Open(f.filter)
	if err != nil {
		return sample{}, err
	}
	defer filter.Close()
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, said, said // files: nothing of ours copies meanwhile
	if s.filter && filepath.Base(line[0]) == bwrap {
		cmd.ExtraFiles = []*os.File{filter}
	}
	began := time.Now()
	err = cmd.Run()
	wall := time.Since(began)
	if err != nil {
		text, _ := os.ReadFile(said.Name())
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(line, " "), err, bytes.TrimSpace(text))
	}
	return sample{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// scheduling are the calls by which threads wait and Go interrupts its own: their number depends on the machine's load.
const scheduling = "futex,nanosleep,clock_nanosleep,sched_yield,epoll_pwait,tgkill,getpid,rt_sigreturn"

// calls counts the system calls of one start, those of all its processes together, the program's own included and those
// of scheduling left out.
func (f *fixture) calls(ctx context.Context, c *contender, s slot) (int, error) {
	summary := filepath.Join(f.dir, "strace")
	line := f.line(c, s)
	trace := []string{"strace", "-f", "-c", "-e", "trace=!" + scheduling, "-o", summary, "--"}
	if c.name == bwrap && s.filter {
		// strace hands its descriptors on; bwrap's filter is among them.
		return f.callsOf(ctx, append(append([]string{"/bin/sh", "-c", `exec "$@" 3<` + f.filter, "sh"}, trace...), line...), summary)
	}
	return f.callsOf(ctx, append(trace, line...), summary)
}

func (f *fixture) callsOf(ctx context.Context, line []string, summary string) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := f.command(ctx, line[0], line[1:]...); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		return 0, err
	}
	return parseCalls(string(text))
}

// parseCalls returns the calls in the total line of strace -c: percent, seconds, microseconds per call, calls, errors if
// any, "total".
func parseCalls(text string) (int, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 5 && fields[len(fields)-1] == "total" {
			return strconv.Atoi(fields[3])
		}
	}
	return 0, fmt.Errorf("strace: no total in %q", text)
}
