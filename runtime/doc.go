// Package runtime is the life of a sandbox: create, start, exec, signal, pause, wait, remove.
//
// A Dir is the state directory, one directory below it per sandbox. A sandbox is held together by three files there:
// config.json is its OCI specification, record.json says what happened to it, and lock is a lease: the process that
// supervises the sandbox holds it for as long as the sandbox lives, so that a free lock and no recorded end mean that
// the supervisor was killed. Nothing else is remembered anywhere, and nothing has to run for a sandbox to be found.
//
// There is no daemon. In the foreground the caller supervises; detached, a process does that holds a few pages of memory
// and wakes up once, when the sandbox ends. A sandbox never outlives its supervisor: the kernel kills it.
//
// Sandboxes are made by libcontainer, whose process re-executes this binary with "init" as its first argument; every
// program that imports this package answers to that. Do not use the package from a long-lived server: libcontainer
// takes the working directory and the calling thread for granted. Run the mmbox command instead.
package runtime
