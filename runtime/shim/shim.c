// The functions here are copied out of our binary and run alone: no library, no data, no constant in memory, nothing
// outside the section. Every system call is made by hand. See shim.go for the arguments.

#define SECTION __attribute__((section("mmbox_shim"), used))
#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
enum { sys_read = 0, sys_write = 1, sys_poll = 7, sys_execve = 59, sys_exit = 60, sys_fcntl = 72, sys_prctl = 157, sys_waitid = 247, sys_seccomp = 317 };

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
enum { sys_read = 63, sys_write = 64, sys_poll = 73 /* ppoll */, sys_execve = 221, sys_exit = 93, sys_fcntl = 25, sys_prctl = 167, sys_waitid = 95, sys_seccomp = 277 };

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

enum { fd_self = 3, fd_status = 4, fd_filter = 5 };
enum { set_fd_flags = 2 /* F_SETFD */, cloexec = 1, pdeathsig = 1, sigkill = 9, pollerr = 8, wexited = 4, wnowait = 0x1000000, p_pid = 1, eintr = 4 };

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

// die_with_parent ends this process when the one that made it ends. The parent may be gone already: then nobody holds
// the other end of the status pipe.
INLINE void die_with_parent(void) {
	struct pollfd_ p;
	long r = call(sys_prctl, pdeathsig, sigkill, 0, 0, 0);
	if (r < 0)
		fail(r);
	p.fd = fd_status;
	p.events = 0;
	p.revents = 0;
#if defined(__aarch64__)
	long now[2];
	now[0] = now[1] = 0;
	call(sys_poll, (long)&p, 1, (long)now, 0, 0);
#else
	call(sys_poll, (long)&p, 1, 0, 0, 0);
#endif
	if (p.revents & pollerr)
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

// seal is the last step inside a sandbox.
INLINE void seal(char **argv, char **envp) {
	char *flag;
	long fd;
	for (fd = fd_self; fd <= fd_filter; fd++)
		call(sys_fcntl, fd, set_fd_flags, cloexec, 0, 0); // a descriptor that was not given is no error
	for (flag = argv[1] + 1; *flag; flag++) {
		if (*flag == 'd')
			die_with_parent();
		if (*flag == 'f')
			load_filter();
	}
	fail(call(sys_execve, (long)argv[2], (long)(argv + 3), (long)envp, 0, 0));
}

// watch waits for a child to end, leaves it unreaped and executes the program that records the end.
INLINE void watch(char **argv, char **envp) {
	long pid = 0, r;
	char info[128]; // siginfo_t
	char *digit;
	for (digit = argv[2]; *digit; digit++)
		pid = pid * 10 + (*digit - '0');
	do {
		r = call(sys_waitid, p_pid, pid, (long)info, wexited | wnowait, 0);
	} while (r == -eintr);
	call(sys_execve, (long)argv[3], (long)(argv + 3), (long)envp, 0, 0);
	call(sys_exit, 125, 0, 0, 0, 0);
}

SECTION __attribute__((noreturn, visibility("hidden"))) void mmbox_shim_main(long *stack) {
	long argc = stack[0];
	char **argv = (char **)(stack + 1);
	char **envp = argv + argc + 1;
	if (argc > 3 && argv[1][0] == 's')
		seal(argv, envp);
	if (argc > 3 && argv[1][0] == 'w')
		watch(argv, envp);
	call(sys_exit, 125, 0, 0, 0, 0);
	__builtin_unreachable();
}

extern char __start_mmbox_shim[], __stop_mmbox_shim[];
extern char mmbox_shim_start[] __attribute__((visibility("hidden")));

const char *mmbox_shim_code(void) { return __start_mmbox_shim; }
unsigned long mmbox_shim_size(void) { return (unsigned long)(__stop_mmbox_shim - __start_mmbox_shim); }
unsigned long mmbox_shim_entry(void) { return (unsigned long)(mmbox_shim_start - __start_mmbox_shim); }
