package main

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// signalOf reads a signal: SIGTERM, TERM, term or 15.
func signalOf(text string) (unix.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 65 {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if s := unix.SignalNum(name); s != 0 {
		return s, nil
	}
	return 0, &usage{fmt.Sprintf("signal %q: write a name such as SIGTERM, or a number from 1 to 64", text)}
}

// signalName is the full name of a signal, or empty for an empty text.
func signalName(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	s, err := signalOf(text)
	if err != nil {
		return "", err
	}
	if name := unix.SignalName(s); name != "" {
		return name, nil
	}
	return "", &usage{fmt.Sprintf("signal %q has no name", text)}
}
