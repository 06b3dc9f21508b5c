// Command mmbox runs AI micro-models in native Linux sandboxes: no Docker, no daemon.
//
// One file holds one verb. A verb reads its arguments, calls the packages below and prints a result on standard output;
// what a person should know besides goes to standard error. Only main ends the process.
//
// The command needs root, and Linux. It is a command, not a library: a program that wants sandboxes runs it and reads
// its JSON.
package main
