package ui

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// A Terminal joins the terminal of a program in a sandbox with this process's own.
type Terminal struct {
	master *os.File
	in     *os.File
	was    *unix.Termios // in's mode before, or nil where in is no terminal
	resize chan os.Signal
	copied chan error
}

// Attach copies between a terminal's master and in and out until the program closes it. A nil master is a program
// without a terminal: then nothing is done, and Detach does nothing. The Terminal owns master.
func Attach(master, in, out *os.File) (*Terminal, error) {
	if master == nil {
		return &Terminal{}, nil
	}
	t := &Terminal{master: master, in: in, resize: make(chan os.Signal, 1), copied: make(chan error, 1)}
	if err := t.raw(); err != nil {
		return nil, errors.Join(err, master.Close())
	}
	signal.Notify(t.resize, unix.SIGWINCH)
	go func() {
		for range t.resize {
			t.size()
		}
	}()
	t.size()
	go func() { _, _ = io.Copy(master, in) }() // ends with the process: a read from a terminal cannot be cut short
	go func() {
		_, err := io.Copy(out, master)
		if errors.Is(err, unix.EIO) { // the last program closed the terminal
			err = nil
		}
		t.copied <- err
	}()
	return t, nil
}

// raw passes every key to the program, which has a line discipline of its own.
func (t *Terminal) raw() error {
	mode, err := unix.IoctlGetTermios(int(t.in.Fd()), unix.TCGETS)
	if err != nil {
		return nil // a pipe or a file
	}
	raw := *mode
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, &raw); err != nil {
		return fmt.Errorf("set terminal: %w", err)
	}
	t.was = mode
	return nil
}

// size gives the program's terminal the size of ours. Where ours has none the program's keeps its own.
func (t *Terminal) size() {
	if size, err := unix.IoctlGetWinsize(int(t.in.Fd()), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, size)
	}
}

// Detach waits for the last output and gives the terminal its mode back.
func (t *Terminal) Detach() error {
	if t.master == nil {
		return nil
	}
	err := <-t.copied
	signal.Stop(t.resize)
	close(t.resize)
	if t.was != nil {
		err = errors.Join(err, unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.was))
	}
	return errors.Join(err, t.master.Close())
}
