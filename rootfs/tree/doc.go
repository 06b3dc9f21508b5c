// Package tree keeps unpacked root file systems, each named by the digest of its listing, and merges several into one.
//
// A Stage is a tree in the making: files, directories and links are put into it, and Commit publishes it, complete and on
// disk, or finds it there already. A Store holds trees, verifies them against their listings and sweeps away what no model names.
//
// What every tree promises: owned by root, files 0444 or 0555, directories 0555, modification times at Epoch; only
// directories, regular files and symbolic links; no set-user-ID bits, no extended attributes (so no file capabilities).
// A user that is not mapped in a sandbox's user namespace can therefore read all of it and write none of it.
//
// Not for writable roots: modes, owners and times are not preserved. Where the files come from is the caller's business,
// as are limits on how many and how large they are.
package tree
