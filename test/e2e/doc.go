// Package e2e holds the tests of the finished command: what a person sees at the command line, what a program finds
// inside a sandbox, and what is left on the host afterwards.
//
// The tests need root and Linux, and run on hosts of either cgroup version. They run the mmbox that $MMBOX_BIN names and
// put the program that $MMBOX_PROBE names into their models; where a variable is unset, they build it. With both set the
// compiled test needs no Go, no source beside the examples' directory ($MMBOX_EXAMPLES), and no network, so it runs in a
// virtual machine as it is (package vm, which sets $MMBOX_VM: fewer repetitions then).
//
// Every test has a state directory of its own, shares one store of models, and fails when a process, mount, cgroup or
// file of its sandboxes is left.
package e2e
