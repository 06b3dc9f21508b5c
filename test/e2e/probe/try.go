package main

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// try does what a sandbox must not allow and returns the error's name by attempt, "done" where it worked.
func try() map[string]string {
	out := map[string]string{}
	for name, attempt := range attempts {
		out[name] = "done"
		if err := attempt(); err != nil {
			out[name] = err.Error()
			if number, ok := err.(syscall.Errno); ok {
				out[name] = unix.ErrnoName(number)
			}
		}
	}
	return out
}

var attempts = map[string]func() error{
	"write /new":                 create("/new"),
	"write /etc/new":             create("/etc/new"),
	"write /dev/new":             create("/dev/new"),
	"write /dev/shm/new":         create("/dev/shm/new"), // allowed
	"write /tmp/new":             create("/tmp/new"),     // allowed
	"change the program":         create("/probe"),
	"write /proc/sys":            create("/proc/sys/kernel/hostname"),
	"write /proc/sysrq-trigger":  create("/proc/sysrq-trigger"),
	"set hostname":               func() error { return unix.Sethostname([]byte("x")) },
	"mount":                      func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") },
	"remount the root":           func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"unmount /proc":              func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
	"new user namespace":         func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"new mount namespace":        func() error { return unix.Unshare(unix.CLONE_NEWNS) },
	"chroot":                     func() error { return unix.Chroot("/tmp") },
	"become root":                func() error { return syscall.Setuid(0) },
	"make a device":              func() error { return unix.Mknod("/tmp/sda", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) },
	"trace the parent":           func() error { return unix.PtraceAttach(1) },
	"open kernel memory":         open("/dev/mem"),
	"open /dev/kmsg":             open("/dev/kmsg"),
	"open /proc/kcore":           open("/proc/kcore"),
	"load a BPF program":         func() error { return call(unix.SYS_BPF) },
	"load a module":              func() error { return call(unix.SYS_INIT_MODULE) },
	"new keyring":                func() error { return call(unix.SYS_KEYCTL, 1) },
	"read the kernel's log":      func() error { return call(unix.SYS_SYSLOG, 3) },
	"reboot":                     func() error { return call(unix.SYS_REBOOT, 0, 0, 0) }, // wrong magic: harmless wherever it is
	"set the clock":              func() error { return call(unix.SYS_CLOCK_SETTIME, 0, 0) },
	"connect to the network":     func() error { return connect(&unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 53}) },
	"connect to loopback":        func() error { return connect(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 1}) }, // allowed, nobody there
	"connect to host's listener": hostListener,
	"raw socket":                 func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, 1); return err },
	"packet socket":              func() error { _, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); return err },
	"see the host's root":        func() error { _, err := os.Stat(filepath.Join("/proc/1/root", "usr/sbin/runc")); return errno(err) },
}

func errno(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

func create(path string) func() error {
	return func() error {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func open(path string) func() error {
	return func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		n, err := unix.Read(fd, make([]byte, 16))
		if err == nil && n == 0 {
			return unix.ENODATA // /dev/null in its place
		}
		return err
	}
}

func call(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	if _, _, e := unix.RawSyscall(number, args[0], args[1], args[2]); e != 0 {
		return e
	}
	return nil
}

func connect(to unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

// hostListener connects to the abstract socket that the test listens on, outside.
func hostListener() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + os.Getenv("LISTENER")})
}
