package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"mmbox/runtime"
)

// version is set by the linker.
var version = "devel"

func main() {
	os.Exit(command(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// command runs the command line and returns its exit code.
func command(args []string, stdin, stdout, stderr *os.File) int {
	m := &mmbox{stdin: stdin, stdout: stdout, stderr: stderr}
	m.settings.json = asksForJSON(args)
	app := m.app()
	runtime.LogTo(io.Discard, false)
	ctx, end := untilSignal(m)
	defer end()
	ordered, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, ordered)
	}
	return m.fail(because(ctx, err))
}

// An interruption is the cause of a context that a signal ended. It is a context.Canceled.
type interruption struct{ signal unix.Signal }

func (i *interruption) Error() string { return "interrupted by " + unix.SignalName(i.signal) }

func (i *interruption) Is(target error) bool { return target == context.Canceled }

// because adds to an error that a context has ended the signal that ended it.
func because(ctx context.Context, err error) error {
	var cause, told *interruption
	if !errors.Is(err, context.Canceled) || errors.As(err, &told) || !errors.As(context.Cause(ctx), &cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// untilSignal returns a context that ends at a signal, which is its cause, until interrupted gives signals back their usual effect: that
// does not end the context, which a verb needs after its program has ended.
func untilSignal(m *mmbox) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	told := make(chan struct{})
	go func() {
		defer close(told)
		if sig, got := <-signals; got {
			cancel(&interruption{sig.(unix.Signal)})
		}
	}()
	// A signal that came before has ended the context when this returns.
	m.interrupted = sync.OnceFunc(func() {
		signal.Stop(signals)
		close(signals)
		<-told
	})
	return ctx, func() {
		m.interrupted()
		cancel(nil)
	}
}

// notify is signal.Notify but for signals that were ignored when this process began: nohup, and a shell that starts a
// command in the background, mean them to stay so.
func notify(to chan<- os.Signal, list ...os.Signal) {
	for _, s := range list {
		if !signal.Ignored(s) {
			signal.Notify(to, s)
		}
	}
}

// An mmbox is one call of the command: where it reads and writes, and what its settings are.
type mmbox struct {
	stdin, stdout, stderr *os.File
	settings              settings
	interrupted           func() // gives signals back their usual effect
	runs                  bool   // the verb runs a program, and its own failures are told apart by exit code 125
}

// app is the command line: the verbs, in the order that help shows them.
func (m *mmbox) app() *cli.App {
	cli.HelpPrinter = printHelp // the library's own hook for it, a variable
	app := &cli.App{
		Name:                      "mmbox",
		Usage:                     "run AI micro-models in native Linux sandboxes",
		Version:                   version,
		HideHelpCommand:           true,
		Writer:                    m.stdout,
		ErrWriter:                 m.stderr,
		Flags:                     globalFlags(),
		Before:                    m.before,
		DisableSliceFlagSeparator: true,
		Suggest:                   true,
		ExitErrHandler:            func(*cli.Context, error) {}, // main prints and exits
		OnUsageError:              usageError,
		CommandNotFound:           nil, // arrange refuses an unknown verb before
	}
	for _, group := range []struct {
		name  string
		verbs []*cli.Command
	}{
		{"Models", []*cli.Command{m.install(), m.models(), m.show(), m.verify(), m.remove()}},
		{"Sandboxes", []*cli.Command{m.run(), m.start(), m.stop(), m.restart(), m.ps(), m.exec(), m.logs(), m.inspect(), m.wait(),
			m.kill(), m.pause(), m.resume(), m.rm(), m.infer()}},
		{"Host", []*cli.Command{m.doctor(), m.gc(), m.config(), m.schema(), m.bundle()}},
		{"", []*cli.Command{m.supervise()}},
	} {
		for _, verb := range group.verbs {
			verb.Category = group.name
			verb.OnUsageError = usageError
			app.Commands = append(app.Commands, verb)
		}
	}
	return app
}

func usageError(_ *cli.Context, err error, _ bool) error { return &usage{err.Error()} }

// before reads the settings once the global flags are known.
func (m *mmbox) before(c *cli.Context) error {
	s, err := readSettings(c)
	if err != nil {
		return err
	}
	m.settings = s
	if m.settings.debug {
		runtime.LogTo(m.stderr, true)
	}
	return nil
}
