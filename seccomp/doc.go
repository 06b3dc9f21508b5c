// Package seccomp holds what a sandbox may ask of the kernel: the default profile as commented data, and the way from a
// profile to the bytes the kernel evaluates at each system call.
//
// A Profile is data with reasons. Its Spec is the same in the words of the OCI runtime specification, which is the one
// representation that compiles: any OCI runtime can enforce it, and Compile turns it into a Filter for this machine.
// Compiling costs milliseconds, so Cached keeps the result in a file.
//
// Limits: amd64 and arm64, native calls only. A filter sees numbers and the register values of arguments, never what a
// pointer points to, so it cannot tell one path or one address from another. It is one wall among several (namespaces,
// no capabilities, cgroups), not a sandbox by itself; do not use it alone to contain a program.
package seccomp
