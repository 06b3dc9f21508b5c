// Package isolation decides what a sandbox may see and do, as data.
//
// A Policy is an immutable value whose zero value is the strictest sandbox; its With methods return looser copies, one
// protection at a time. Spec turns a policy and its surroundings into an OCI runtime specification: a pure function, the
// same input always giving the same bytes. Ranges gives each sandbox user and group ids of its own. Features are what a
// host's kernel can enforce, each found by a probe and never by a version.
//
// The package starts nothing (package runtime does). A policy bounds what a program can reach through the kernel; it is
// no defence against a bug in the kernel itself, and none against timing side channels.
package isolation
