// Package rootfs makes the root file systems that models run in.
//
// A tree is an unpacked, read-only root named by the digest of its listing and shared by every model that uses it.
// Builder makes one of each layer of a manifest (a directory, a tar archive, programs of this host with their libraries,
// Debian packages); package tree keeps them and merges them, by hard links, into the one root that a sandbox mounts.
// Install does that for a whole model; WriteBundle copies a root out of the store for any OCI runtime.
//
// Limits. Nothing of a model is ever executed while its root is built: maintainer scripts do not run, so links that
// they make (libblas.so.3, alternatives) are absent; name the file itself in keep, and it is linked where the loader
// looks. Libraries opened with dlopen, NSS modules, gconv tables, locales and ICU data are invisible to the ELF walk;
// name them in keep or in closure. There is no ld.so.cache in a root. Layers "oci" and "image" are not read by this version.
//
// Not for unpacking archives in general, nor for writable roots: modes, owners and times are not preserved.
package rootfs
