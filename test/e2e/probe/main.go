// Command probe is the program inside the sandboxes of package e2e. It tries things and prints what came of them, as
// JSON where it is more than a line. Everything it does is bounded.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// verbs take one argument, empty where none was given.
var verbs = map[string]func(string){
	"look":  func(string) { print(look()) },
	"try":   func(string) { print(try()) },
	"alloc": alloc,
	"spin":  spin,
	"fork":  fork,
	"fill":  fill,
	"echo":  func(string) { io.Copy(os.Stdout, os.Stdin) },
	"sleep": func(s string) { time.Sleep(time.Duration(number(s)) * time.Second) },
	"trap":  func(string) { trap() },
	"tty":   func(string) { tty() },
	"exit":  func(s string) { os.Exit(number(s)) },
	"crash": func(string) { crash() },
	"count": count,
	"fail":  fail,
}

func main() {
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "probe: unknown verb in %q\n", os.Args)
		os.Exit(64)
	}
	verbs[os.Args[1]](strings.Join(os.Args[2:], " "))
}

func print(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(65)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(64)
	}
	return n
}

// trap prints each signal's name. SIGTERM ends it with 42.
func trap() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCONT, unix.SIGWINCH)
	fmt.Println("ready")
	for s := range signals {
		fmt.Println(unix.SignalName(s.(unix.Signal)))
		if s == unix.SIGTERM {
			os.Exit(42)
		}
	}
}

// tty prints which of 0, 1 and 2 are a terminal and its size, again at each change, until a line arrives.
func tty() {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	show := func() {
		var terminals []int
		for fd := range 3 {
			if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
				terminals = append(terminals, fd)
			}
		}
		size := &unix.Winsize{}
		if got, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
			size = got
		}
		fmt.Printf("terminals %v size %dx%d\n", terminals, size.Col, size.Row)
	}
	show()
	go func() {
		for range resized {
			show()
		}
	}()
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Printf("line %q %v\n", line, err)
}

// crash ends by a real fault, which ends even the first process of a namespace.
func crash() {
	var standard [32]byte // a zeroed struct sigaction: SIG_DFL
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&standard)), 0, 8, 0, 0)
	var nowhere *byte
	*nowhere = 0
}

// count prints numbered lines to standard output and error in turn, "N" or "N MILLISECONDS" between.
func count(s string) {
	n, pause, _ := strings.Cut(s, " ")
	for i := range number(n) {
		out := os.Stdout
		if i%2 == 1 {
			out = os.Stderr
		}
		if _, err := fmt.Fprintf(out, "line %d\n", i+1); err != nil {
			os.Exit(66)
		}
		if pause != "" {
			time.Sleep(time.Duration(number(pause)) * time.Millisecond)
		}
	}
}

// fail prints half an answer and ends with a code.
func fail(code string) {
	fmt.Println("half an answer")
	os.Exit(number(code))
}
