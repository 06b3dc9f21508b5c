package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSignals: a signal ends the context of a verb; once a program has run, it is the program's and the verb goes on.
func TestSignals(t *testing.T) {
	m := &mmbox{}
	ctx, end := untilSignal(m)
	defer end()
	signals, stop := m.passed()
	defer stop()
	if err := unix.Kill(unix.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case sig := <-signals:
		if sig != unix.SIGTERM {
			t.Errorf("got %v", sig)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the signal was not passed on")
	}
	if ctx.Err() != nil {
		t.Error("the verb's context has ended, though the signal was the program's")
	}

	ctx, end = untilSignal(m)
	defer end()
	if err := unix.Kill(unix.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the signal did not end the context")
	}
	// Who gives the context's error, and not its cause, still ends with the signal's exit code.
	for _, err := range []error{fmt.Errorf("install: %w", ctx.Err()), fmt.Errorf("install: %w", context.Cause(ctx))} {
		if f := explain(because(ctx, err)); f.exit != 143 || f.Message != "install: interrupted by SIGTERM" && f.Message != "install: context canceled: interrupted by SIGTERM" {
			t.Errorf("%v: %+v", err, f)
		}
	}
	if err := because(ctx, errTimeout); err != errTimeout {
		t.Errorf("another error became %v", err)
	}
}

func TestSignalOf(t *testing.T) {
	for text, want := range map[string]unix.Signal{"TERM": unix.SIGTERM, "sigterm": unix.SIGTERM, "15": unix.SIGTERM, "KILL": unix.SIGKILL, "64": 64} {
		if got, err := signalOf(text); err != nil || got != want {
			t.Errorf("signal %q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65", "-9", "NOSUCH", "SIG"} {
		if got, err := signalOf(text); err == nil {
			t.Errorf("signal %q is %v", text, got)
		}
	}
}
