package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/cmd/internal/ui"
	"mmbox/runtime"
)

// streams are where a program in the foreground reads and writes.
type streams struct {
	in, out, err *os.File
}

// foreground runs a created sandbox's program to its end, with the signals that this process gets, and returns the end.
// A limit of zero is none.
func (m *mmbox) foreground(ctx context.Context, s *runtime.Sandbox, io streams, limit time.Duration) (end *runtime.End, err error) {
	signals, unpass := m.passed()
	defer unpass()
	if ctx.Err() != nil { // a signal came while the sandbox was made
		return nil, errors.Join(context.Cause(ctx), s.Abandon())
	}
	console, err := s.Launch(runtime.Launch{In: io.in, Out: io.out, Err: io.err, Filters: m.filters()})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	terminal, err := ui.Attach(console, m.stdin, m.stdout)
	if err != nil {
		return nil, errors.Join(err, s.Kill(context.Background()))
	}
	done := make(chan struct{})
	timedOut := make(chan bool, 1)
	go func() { timedOut <- m.forward(s, signals, limit, done) }()
	end, err = s.Reap()
	close(done)
	err = errors.Join(err, terminal.Detach())
	if <-timedOut {
		return end, fmt.Errorf("sandbox %q: %w", s.ID, errTimeout)
	}
	return end, err
}

// forwarded are the signals that a person or a supervisor sends a command.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCONT}

// passed returns the signals that are the program's from here on. Not one of them is lost or ends this process between
// the two.
func (m *mmbox) passed() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 16)
	notify(signals, forwarded...)
	m.interrupted()
	return signals, func() { signal.Stop(signals) }
}

// forward passes signals on until the program has ended, and kills it when its time is up.
func (m *mmbox) forward(s *runtime.Sandbox, signals <-chan os.Signal, limit time.Duration, done <-chan struct{}) (timedOut bool) {
	var up <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		up = timer.C
	}
	for {
		select {
		case <-done:
			return timedOut
		case <-up:
			timedOut = true
			m.pass(s, unix.SIGKILL)
		case sig := <-signals:
			m.pass(s, sig.(unix.Signal))
		}
	}
}

// pass sends a signal to a sandbox's program, and says so if it cannot. A program that has ended meanwhile needs none.
func (m *mmbox) pass(s *runtime.Sandbox, signal unix.Signal) {
	if err := s.Signal(signal); err != nil && !errors.Is(err, runtime.ErrStopped) {
		fmt.Fprintf(m.stderr, "mmbox: %v\n", err)
	}
}

// ended turns an end into the verb's result.
func (m *mmbox) ended(end *runtime.End, err error) error {
	if err != nil {
		return err
	}
	if end.OOMKilled {
		fmt.Fprintf(m.stderr, "mmbox: the kernel ended a process of the sandbox: it needed more memory than its limit\n")
	}
	if end.ExitCode != 0 {
		return &exit{end.ExitCode}
	}
	return nil
}

// logFile opens the file that a detached sandbox's output is appended to.
func logFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return file, nil
}
