// Command vmrun runs a command in a virtual machine with Debian's stock kernel and cgroup v2; package vm says what
// the command finds there.
//
//	go run ./test/vm/vmrun [flags] -- COMMAND [ARGUMENT...]
//
// The exit code is the command's, 124 when it ran out of time, 125 when the machine failed, 2 for a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mmbox/test/vm"
)

func main() {
	// One signal stops the machine; a second one, by default again, this program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	machine, command, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "vmrun:", err)
		return 2
	}
	code, err := machine.Run(ctx, command, stdout, stderr)
	switch {
	case err == nil:
		return code
	case errors.Is(err, vm.ErrTimeout):
		fmt.Fprintln(stderr, "vmrun:", err)
		return 124
	default:
		fmt.Fprintln(stderr, "vmrun:", err)
		return 125
	}
}

// parse reads the command line. The command runs in the current directory, which the guest sees through its root.
func parse(args []string, stderr io.Writer) (vm.Machine, vm.Command, error) {
	var machine vm.Machine
	dir, err := os.Getwd()
	if err != nil {
		return vm.Machine{}, vm.Command{}, err
	}
	command := vm.Command{Dir: dir}
	flags := flag.NewFlagSet("vmrun", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: vmrun [flags] -- COMMAND [ARGUMENT...]")
		flags.PrintDefaults()
	}
	flags.BoolVar(&machine.Systemd, "systemd", false, "boot with systemd as PID 1")
	flags.Func("memory", "`size` of the guest's memory, such as 512M or 4G (default 4G)", func(text string) (err error) {
		machine.Memory, err = parseSize(text)
		return err
	})
	flags.IntVar(&machine.CPUs, "cpus", 0, "number of CPUs (default: the host's, at most 4)")
	flags.DurationVar(&machine.Timeout, "timeout", 0, "time limit of the command (default 20m)")
	flags.DurationVar(&machine.BootTimeout, "boot-timeout", 0, "time limit of the boot (default 3m)")
	flags.StringVar(&machine.Accel, "accel", "", "tcg or kvm (default MMBOX_VM_ACCEL or tcg)")
	flags.StringVar(&command.Dir, "dir", dir, "working `directory` in the guest")
	flags.Func("env", "environment of the command, `NAME=VALUE`; may be repeated", func(text string) error {
		command.Env = append(command.Env, text)
		return nil
	})
	flags.Func("share", "show a directory, `HOST:GUEST[:rw]`; may be repeated", func(text string) error {
		share, err := parseShare(text)
		machine.Share = append(machine.Share, share)
		return err
	})
	flags.Func("file", "copy a file into the guest's memory, `HOST:GUEST`; may be repeated", func(text string) error {
		host, guest, found := strings.Cut(text, ":")
		if !found {
			return errors.New("write HOST:GUEST")
		}
		machine.Files = append(machine.Files, vm.File{Host: host, Guest: guest})
		return nil
	})
	flags.Func("kernel", "one more `parameter` of the kernel, such as cgroup_disable=memory; may be repeated", func(text string) error {
		machine.Kernel = append(machine.Kernel, text)
		return nil
	})
	verbose := flags.Bool("console", false, "copy the kernel's console to standard error")
	if err := flags.Parse(args); err != nil {
		return vm.Machine{}, vm.Command{}, err
	}
	if *verbose {
		machine.Console = stderr
	}
	if command.Args = flags.Args(); len(command.Args) == 0 {
		return vm.Machine{}, vm.Command{}, errors.New("no command; write: vmrun [flags] -- COMMAND [ARGUMENT...]")
	}
	return machine, command, nil
}

func parseShare(text string) (vm.Share, error) {
	parts := strings.Split(text, ":")
	writable := len(parts) == 3 && parts[2] == "rw"
	if len(parts) != 2 && !writable {
		return vm.Share{}, errors.New("write HOST:GUEST or HOST:GUEST:rw")
	}
	host, err := filepath.Abs(parts[0])
	return vm.Share{Host: host, Guest: parts[1], Writable: writable}, err
}

// parseSize reads a number of bytes with the suffix M or G.
func parseSize(text string) (int64, error) {
	shift := map[byte]int{'M': 20, 'G': 30}[append([]byte(text), 0)[max(0, len(text)-1)]]
	n, err := strconv.ParseInt(strings.TrimRight(text, "MG"), 10, 32)
	if err != nil || shift == 0 || n <= 0 || n > 1<<20 {
		return 0, errors.New("write a size such as 512M or 4G")
	}
	return n << shift, nil
}
