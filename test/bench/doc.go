// Command bench measures what a cold start of a sandbox costs, beside a plain exec, bwrap, crun and two versions of
// runc, and prints the figures with the budgets that they are held against.
//
// The program started is a static one that exits at once, so nothing but the start is measured. runc and crun run the
// bundle that mmbox bundle wrote of the same model that mmbox runs; bwrap gets the same root and the same compiled
// filter, but sets no limits and has no user ids of its own. Contenders take turns within each round, so that a busy
// moment of the machine hits them alike.
//
// All of it happens in a mount namespace of its own, where the state of every contender is on a file system of memory,
// as /run is on most hosts. Where a host has a version 2 cgroup hierarchy beside version 1, it is not mounted in there:
// crun refuses to run otherwise. The host's mounts do not change.
//
// Do not compare its milliseconds between machines, or between a busy and an idle one: compare its ratios. Page caches
// are warm; a start from a cold disk is not measured.
package main
