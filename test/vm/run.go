package vm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// powerOffTime is how long a guest may take to switch itself off once the command has ended: all is delivered by
	// then, so waiting longer gains nothing.
	powerOffTime = 3 * time.Second
	consoleLines = 40
)

// phase is how far a guest has come, and with that whose time limit runs.
type phase int

const (
	booting phase = iota
	running
	ended // the command; all its output has been passed on
)

// event is one thing that happened to a running machine.
type event struct {
	word, rest string // a status line of the guest, or
	err        error  // what broke the transfer of output
}

// guest is a running machine.
type guest struct {
	console *console
	events  chan event
	qemu    *os.Process
	exited  <-chan error
	readers sync.WaitGroup

	code int    // the command's exit code, once phase is ended
	why  error  // first reason to give the machine up, or nil
	text string // one line more about it
}

// start starts QEMU and the goroutines that read what it writes.
func (g *guest) start(args []string, initramfs *os.File, stdout, stderr io.Writer) (err error) {
	var writeEnds, readEnds []*os.File
	defer func() {
		for _, f := range writeEnds {
			f.Close() // QEMU has its own by now
		}
		if err != nil {
			for _, f := range readEnds {
				f.Close()
			}
		}
	}()
	for range 4 {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("start qemu: %w", err)
		}
		readEnds, writeEnds = append(readEnds, r), append(writeEnds, w)
	}
	g.qemu, g.exited, err = startQEMU(args, append(writeEnds[:4:4], initramfs), g.console)
	if err != nil {
		return err
	}
	g.read(readEnds[fdConsole-3], func(r io.Reader) error { _, err := io.Copy(g.console, r); return err })
	g.read(readEnds[fdStatus-3], g.readStatus)
	g.read(readEnds[fdStdout-3], func(r io.Reader) error { _, err := io.Copy(stdout, r); return err })
	g.read(readEnds[fdStderr-3], func(r io.Reader) error { _, err := io.Copy(stderr, r); return err })
	// All pipes end when QEMU does.
	go func() { g.readers.Wait(); close(g.events) }()
	return nil
}

// read consumes one of QEMU's pipes until its end.
func (g *guest) read(f *os.File, consume func(io.Reader) error) {
	g.readers.Go(func() {
		defer f.Close()
		if err := consume(f); err != nil {
			g.events <- event{err: err}
			// QEMU must not block on a pipe that nobody reads. This too ends when QEMU does.
			_, _ = io.Copy(io.Discard, f)
		}
	})
}

func (g *guest) readStatus(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		g.events <- event{word: word, rest: rest}
	}
	return lines.Err()
}

// follow watches the machine to its end. When it returns, QEMU is gone and all output has been delivered.
func (g *guest) follow(ctx context.Context, m Machine) (int, error) {
	at := booting
	timer := time.NewTimer(m.BootTimeout)
	defer timer.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case e, open := <-g.events:
			if !open {
				return g.verdict(at, <-g.exited)
			}
			if next := g.advance(at, e); next != at {
				at = next
				timer.Reset(map[phase]time.Duration{running: m.Timeout, ended: powerOffTime}[at])
			}
		case <-timer.C:
			switch at {
			case booting:
				g.giveUp(ErrBootTimeout, fmt.Sprintf("limit %v", m.BootTimeout))
			case running:
				g.giveUp(ErrTimeout, fmt.Sprintf("limit %v", m.Timeout))
			case ended: // nothing is lost: only the power switch failed
				g.kill()
			}
		case <-cancelled:
			cancelled = nil
			g.giveUp(context.Cause(ctx), "")
		}
	}
}

// giveUp kills the machine. The first reason counts.
func (g *guest) giveUp(why error, text string) {
	if g.why == nil {
		g.why, g.text = why, text
	}
	g.kill()
}

// kill ends QEMU. It may have ended by itself meanwhile, which is no error: exited tells how.
func (g *guest) kill() { _ = g.qemu.Kill() }

// advance takes in an event in phase at and returns the next phase.
func (g *guest) advance(at phase, e event) phase {
	switch {
	case e.err != nil:
		g.giveUp(fmt.Errorf("pass on output: %w", e.err), "")
	case e.word == "start" && at == booting:
		return running
	case e.word == "exit" && at == running:
		code, err := strconv.Atoi(e.rest)
		if err == nil {
			g.code = code
			return ended
		}
		g.giveUp(ErrVanished, fmt.Sprintf("the guest said exit %q", e.rest))
	case e.word == "fail":
		g.giveUp(ErrBoot, e.rest)
	default:
		g.giveUp(ErrBoot, fmt.Sprintf("the guest said %q out of turn", e.word))
	}
	return at
}

// verdict turns what was seen, and how QEMU ended, into Run's result.
func (g *guest) verdict(at phase, qemu error) (int, error) {
	failed := &GuestError{Err: g.why, Detail: g.text, Console: g.console.last(consoleLines)}
	crash := g.console.died()
	switch {
	// A kernel that died explains whatever came after, a timeout as well.
	case crash != "":
		failed.Err, failed.Detail = ErrPanic, crash
	case g.why != nil && !guestFault(g.why):
		return 0, fmt.Errorf("run in virtual machine: %w", g.why)
	case g.why != nil:
	case at == ended:
		return g.code, nil
	default:
		failed.Err = ErrVanished
		if qemu != nil {
			failed.Detail = "qemu: " + qemu.Error()
		}
	}
	return 0, failed
}

// guestFault tells failures of the guest, which the console explains, from those of the caller.
func guestFault(err error) bool {
	return slices.Contains([]error{ErrBootTimeout, ErrTimeout, ErrPanic, ErrBoot, ErrVanished}, err)
}
