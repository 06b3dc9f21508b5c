// Package closure finds what programs need to run: their interpreter and libraries, as the dynamic loader would find
// them, in a root that need not be this host's. It reads ELF headers and follows links as after chroot; it runs nothing,
// so it may look at files that nobody trusts.
//
// Limits. It sees what files name: DT_NEEDED, DT_RPATH, DT_RUNPATH, PT_INTERP and the first line of scripts. Libraries
// that a program opens by itself (dlopen), NSS, gconv and locales stay invisible. LD_LIBRARY_PATH, LD_PRELOAD, $PLATFORM
// and glibc's hwcaps variants are not considered: what is found is the baseline of the architecture.
package closure
