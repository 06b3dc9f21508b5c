// Package test holds no code: below it lies what proves mmbox as a whole.
//
//   - arch: the architecture as tests; no privilege needed
//   - e2e: the command as its users use it, as root
//   - vm: a virtual machine with Debian's kernel and cgroup version 2, in which the same tests run
//   - bench: starts, beside plain exec and other runtimes
//   - run: the tiers of make test
//
// Tests of one package stand beside its code.
package test
