package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A tally counts tests. Subtests count; a test that only holds subtests counts too.
type tally struct {
	passed, failed int
	skipped        []string // package, test and reason
	broken         string   // the package of the last test that failed
}

func (t *tally) ran() int { return t.passed + t.failed + len(t.skipped) }

func (t *tally) add(o tally) {
	t.passed += o.passed
	t.failed += o.failed
	t.skipped = append(t.skipped, o.skipped...)
}

// An event is a line of go test -json. Source: go doc test2json.
type event struct {
	Action, Package, Test, Output string
	FailedBuild                   string
}

// goTest runs go test with these arguments and counts. The output of failing tests is printed, and of all if verbose.
func goTest(ctx context.Context, verbose bool, env []string, args ...string) (tally, error) {
	return counted(ctx, verbose, env, append([]string{"go", "test", "-json", "-tags", tags}, args...)...)
}

// counted runs a command that prints go test -json lines.
func counted(ctx context.Context, verbose bool, env []string, args ...string) (tally, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := cmd.Start(); err != nil {
		return tally{}, err
	}
	count, err := read(out, os.Stdout, verbose)
	failed := cmd.Wait()
	var exited *exec.ExitError
	if errors.As(failed, &exited) && count.failed > 0 {
		failed = nil // counted
	}
	return count, errors.Join(err, failed)
}

// read counts the tests in a stream of events. What is not an event, such as a compiler's message, is printed.
func read(from io.Reader, to io.Writer, verbose bool) (tally, error) {
	var count tally
	held := map[string][]string{} // output of tests, until it is known whether it matters
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(to, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			held[key] = append(held[key], e.Output)
			if e.Action == "build-output" {
				fmt.Fprint(to, e.Output)
			}
		case "pass", "fail", "skip":
			count.end(e, held[key])
			if verbose || e.Action == "fail" {
				fmt.Fprint(to, strings.Join(held[key], ""))
			}
			delete(held, key)
		}
	}
	return count, lines.Err()
}

// end counts the end of a test, or of a package.
func (t *tally) end(e event, output []string) {
	switch {
	case e.Test == "" && e.Action == "fail" && t.broken != e.Package:
		t.failed++ // none of its tests did: it was not built, or ended before its time
	case e.Test == "":
	case e.Action == "pass":
		t.passed++
	case e.Action == "fail":
		t.failed++
		t.broken = e.Package
	default:
		t.skipped = append(t.skipped, fmt.Sprintf("%s %s: %s", strings.TrimPrefix(e.Package, "mmbox/"), e.Test, reason(output)))
	}
}

// reason is what a skipped test said last.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}
