// Package shim makes a very small program that is the last step before a model's own: inside a sandbox it loads the
// compiled system call filter and executes the model; outside it waits, as a supervisor, for a sandbox to end.
//
// The program is a kilobyte: the C functions of shim.c, which are freestanding, position independent and in a section of
// their own, behind an ELF header made here. Linking them into our binary and lifting them out again needs no second
// compiler run and no file beside the binary, and executing the result costs a fraction of a Go program's start. It is
// always executed from a sealed memory file, so nothing that runs inside can change it (the class of CVE-2019-5736).
//
// It is not a general init: it forwards no signals and reaps no orphans.
package shim
