// The functions here are copied out of our binary and run alone: no library, no data, no constant in memory, nothing
// outside the section. Every system call is made by hand. See shim.go for the arguments.

#define SECTION __attribute__((section("mmbox_shim"), used))
#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
enum { sys_read = 0, sys_write = 1, sys_poll = 7, sys_execve = 59, sys_exit = 60, sys_fcntl = 72, sys_sigaction = 13, sys_sigprocmask = 14, sys_prctl = 157, sys_seccomp = 317, sys_pidfd_open = 434,
       sys_openat = 257, sys_renameat = 264 /* renameat */, sys_dup3 = 292, sys_close = 3 };

INLINE long call(long n, long a, long b, long c, long d, long e) {
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}

__asm__(".pushsection mmbox_shim,\"ax\",@progbits\n"
        ".globl mmbox_shim_start\n"
        ".hidden mmbox_shim_start\n"
        "mmbox_shim_start: xor %ebp,%ebp; mov %rsp,%rdi; and $-16,%rsp; call mmbox_shim_main\n"
        ".popsection");
#elif defined(__aarch64__)
enum { sys_read = 63, sys_write = 64, sys_poll = 73 /* ppoll */, sys_execve = 221, sys_exit = 93, sys_fcntl = 25, sys_sigaction = 134, sys_sigprocmask = 135, sys_prctl = 167, sys_seccomp = 277, sys_pidfd_open = 434,
       sys_openat = 56, sys_renameat = 38, sys_dup3 = 24, sys_close = 57 };

INLINE long call(long n, long a, long b, long c, long d, long e) {
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}

__asm__(".pushsection mmbox_shim,\"ax\",@progbits\n"
        ".globl mmbox_shim_start\n"
        ".hidden mmbox_shim_start\n"
        "mmbox_shim_start: mov x29, xzr; mov x0, sp; bl mmbox_shim_main\n"
        ".popsection");
#else
#error "mmbox knows amd64 and arm64"
#endif

enum { fd_self = 3, fd_status = 4, fd_filter = 5 }; // of seal
enum { set_fd_flags = 2 /* F_SETFD */, cloexec = 1, pdeathsig = 1, sigkill = 9, pollin = 1, pollerr = 8, eintr = 4 };
enum { at_fdcwd = -100, o_wronly = 1, o_creat = 0100, o_trunc = 01000, owner_only = 0600 };

struct program { // struct sock_fprog of linux/filter.h
	unsigned short length;
	const void *filter;
};

struct pollfd_ {
	int fd;
	short events, revents;
};

// fail tells the reader of the status pipe why there was no exec. The number is a positive errno.
INLINE void fail(long status) {
	int number = (int)-status;
	call(sys_write, fd_status, (long)&number, sizeof number, 0, 0);
	call(sys_exit, 127, 0, 0, 0, 0);
}

// wait_for waits until one of two descriptors can be read or has ended; a negative one is left out. With now it only looks.
INLINE void wait_for(struct pollfd_ *p, int now) {
#if defined(__aarch64__)
	long zero[2];
	zero[0] = zero[1] = 0;
	call(sys_poll, (long)p, 2, now ? (long)zero : 0, 0, 0);
#else
	call(sys_poll, (long)p, 2, now ? 0 : -1, 0, 0);
#endif
}

// die_with_parent ends this process when the one that made it ends. The parent may be gone already: then nobody holds
// the other end of the status pipe.
INLINE void die_with_parent(void) {
	struct pollfd_ p[2];
	long r = call(sys_prctl, pdeathsig, sigkill, 0, 0, 0);
	if (r < 0)
		fail(r);
	p[0].fd = fd_status;
	p[1].fd = -1;
	p[0].events = p[1].events = 0;
	p[0].revents = p[1].revents = 0;
	wait_for(p, 1);
	if (p[0].revents & pollerr)
		call(sys_exit, 125, 0, 0, 0, 0);
}

// load_filter loads the filter that fd_filter holds. BPF programs have at most 4096 instructions of 8 bytes; a file that
// holds more is refused by the kernel, since the length then says so.
INLINE void load_filter(void) {
	char filter[4096 * 8 + 8];
	struct program p;
	long n = 0, r;
	do {
		r = call(sys_read, fd_filter, (long)filter + n, (long)sizeof filter - n, 0, 0);
		if (r < 0)
			fail(r);
		n += r;
	} while (r > 0);
	p.length = (unsigned short)(n / 8);
	p.filter = filter;
	r = call(sys_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, (long)&p, 0, 0);
	if (r < 0)
		fail(r);
}

// reset_signals gives the program no blocked and no ignored signals, whatever the caller of our command had.
INLINE void reset_signals(void) {
	struct {
		long handler, flags, restorer, mask;
	} usual;
	long none = 0, signal;
	usual.handler = usual.flags = usual.restorer = usual.mask = 0;
	for (signal = 1; signal <= 64; signal++)
		call(sys_sigaction, signal, (long)&usual, 0, sizeof none, 0); // SIGKILL and SIGSTOP refuse: they are as usual
	call(sys_sigprocmask, 2 /* SIG_SETMASK */, (long)&none, 0, sizeof none, 0);
}

// seal is the last step inside a sandbox.
INLINE void seal(char **argv, char **envp) {
	char *flag;
	long fd;
	for (fd = fd_self; fd <= fd_filter; fd++)
		call(sys_fcntl, fd, set_fd_flags, cloexec, 0, 0); // a descriptor that was not given is no error
	reset_signals();
	for (flag = argv[1] + 1; *flag; flag++) {
		if (*flag == 'd')
			die_with_parent();
		if (*flag == 'f')
			load_filter();
	}
	fail(call(sys_execve, (long)argv[2], (long)(argv + 3), (long)envp, 0, 0));
}

INLINE long number(const char *digit) {
	long n = 0;
	for (; *digit; digit++)
		n = n * 10 + (*digit - '0');
	return n;
}

// log writes what a program printed. What the disk does not take is dropped: the program is not to wait for it.
INLINE void log_bytes(long fd, const char *bytes, long n) {
	while (n > 0) {
		long r = call(sys_write, fd, (long)bytes, n, 0, 0);
		if (r == -eintr)
			continue;
		if (r <= 0)
			return;
		bytes += r;
		n -= r;
	}
}

// rotate gives a full log its second name, which replaces an older one, and begins anew.
INLINE void rotate(long log, const char *path, const char *old) {
	long fd;
	if (call(sys_renameat, at_fdcwd, (long)path, at_fdcwd, (long)old, 0) < 0)
		return;
	fd = call(sys_openat, at_fdcwd, (long)path, o_wronly | o_creat | o_trunc, owner_only, 0);
	if (fd < 0)
		return;
	call(sys_dup3, fd, log, 0, 0, 0);
	call(sys_close, fd, 0, 0, 0, 0);
}

// watch keeps a program's log until the program has ended and all that it printed is written, leaves it unreaped and
// executes the program that records the end.
// Its arguments: the program's process id, the descriptors of the pipe it prints to and of its log, the log's path, its
// second name, its size now, its largest size, what to execute, and that program's own arguments.
INLINE void watch(char **argv, char **envp) {
	struct pollfd_ p[2];
	char bytes[16384];
	long pipe = number(argv[3]), log = number(argv[4]), size = number(argv[7]), most = number(argv[8]), n;
	p[0].fd = (int)pipe;
	p[1].fd = (int)call(sys_pidfd_open, number(argv[2]), 0, 0, 0, 0);
	p[0].events = p[1].events = pollin;
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		p[0].revents = p[1].revents = 0;
		wait_for(p, 0);
		if (p[0].revents) {
			n = call(sys_read, pipe, (long)bytes, sizeof bytes, 0, 0);
			if (n > 0) {
				if (size + n > most) {
					rotate(log, argv[5], argv[6]);
					size = 0;
				}
				log_bytes(log, bytes, n);
				size += n;
			} else if (n != -eintr)
				p[0].fd = -1; // nobody is left who could write
		} else if (p[1].revents)
			p[0].fd = p[1].fd = -1;
	}
	call(sys_execve, (long)argv[9], (long)(argv + 10), (long)envp, 0, 0);
	call(sys_exit, 125, 0, 0, 0, 0);
}

SECTION __attribute__((noreturn, visibility("hidden"))) void mmbox_shim_main(long *stack) {
	long argc = stack[0];
	char **argv = (char **)(stack + 1);
	char **envp = argv + argc + 1;
	if (argc > 3 && argv[1][0] == 's')
		seal(argv, envp);
	if (argc > 10 && argv[1][0] == 'w')
		watch(argv, envp);
	call(sys_exit, 125, 0, 0, 0, 0);
	__builtin_unreachable();
}

extern char __start_mmbox_shim[], __stop_mmbox_shim[];
extern char mmbox_shim_start[] __attribute__((visibility("hidden")));

const char *mmbox_shim_code(void) { return __start_mmbox_shim; }
unsigned long mmbox_shim_size(void) { return (unsigned long)(__stop_mmbox_shim - __start_mmbox_shim); }
unsigned long mmbox_shim_entry(void) { return (unsigned long)(mmbox_shim_start - __start_mmbox_shim); }
