// Package cgroups knows the control groups of this host: which hierarchy it has (version 2, hybrid or version 1), what
// that hierarchy can limit and tell, and one sandbox's group in it: its processes, its figures, its end.
//
// Limits is pure data for the OCI spec. Limits travel in the spec and libcontainer writes them, one writer per
// directory; this package reads, watches, freezes, kills and removes leftovers.
//
// Limits of the package: it expects each hierarchy of version 1 in a directory named after its controllers below one
// root, as every distribution mounts them. It never mounts anything and never creates a group. It is not for changing
// limits, nor for groups that systemd hands out by its bus interface.
package cgroups
