package main

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alloc uses some MiB of memory, at most 512, and stays until a line or the end of standard input arrives.
func alloc(mib string) {
	n := min(number(mib), 512)
	for range n {
		page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			fmt.Fprintln(os.Stderr, "probe: mmap:", err)
			os.Exit(70)
		}
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
	}
	fmt.Printf("allocated %d MiB\n", n)
	os.Stdin.Read(make([]byte, 1))
}

// spin keeps one thread busy for some seconds, at most 30, and prints what it got.
func spin(seconds string) {
	length := time.Duration(min(number(seconds), 30)) * time.Second
	before, start := cpu(), time.Now()
	for sum := 0; time.Since(start) < length; {
		for i := range 10000 {
			sum += i
		}
	}
	print(map[string]float64{"cpu": (cpu() - before).Seconds(), "wall": time.Since(start).Seconds()})
}

func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(65)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fork makes up to so many children, at most 64, that do nothing for 30 s, and prints how many there were when the
// kernel refused one. The children are raw: nothing of Go's runtime runs in them.
func fork(children string) {
	wanted := min(number(children), 64)
	made, refusal := 0, ""
	for made < wanted {
		pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if e != 0 {
			refusal = unix.ErrnoName(e)
			break
		}
		if pid == 0 {
			sleepAndExit()
		}
		made++
	}
	threads := len(names("/proc/self/task"))
	print(map[string]any{"children": made, "threads": threads, "refusal": refusal})
	if os.Getenv("STAY") != "" {
		os.Stdin.Read(make([]byte, 1))
	}
}

var (
	halfMinute        = unix.Timespec{Sec: 30}
	halfMinuteAddress = uintptr(unsafe.Pointer(&halfMinute))
)

// sleepAndExit runs in a child that has one thread and no scheduler.
//
//go:nosplit
func sleepAndExit() {
	unix.RawSyscall(unix.SYS_NANOSLEEP, halfMinuteAddress, 0, 0)
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// fill writes to a file in the directory until it is full or 64 MiB are there, and prints how much it took.
func fill(dir string) {
	file, err := os.Create(dir + "/full")
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(65)
	}
	written, chunk := 0, make([]byte, 4096)
	for written < 64<<20 && err == nil {
		var n int
		n, err = file.Write(chunk)
		written += n
	}
	refusal := ""
	var number unix.Errno
	if errors.As(err, &number) {
		refusal = unix.ErrnoName(number)
	}
	print(map[string]any{"written": written, "refusal": refusal})
}
