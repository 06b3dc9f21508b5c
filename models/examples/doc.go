// Package examples holds no code: each folder is a real model for demonstrations, tests and benchmarks.
//
// A model's README says what it is, whose it is and how to get it; fetch gets what is not in this repository. The
// package's tests run every model that was fetched in a bare chroot, made of what its manifest names and nothing else,
// and hold it to its golden cases and its limits. They do not test the sandbox.
package examples
