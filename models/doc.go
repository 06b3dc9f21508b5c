// Package models knows what a model is: the manifest that describes it and the store that keeps it.
//
// A manifest (model.yaml) is parsed strictly: an unknown or duplicate key, a size that rounds to zero or a path that
// leaves the root is refused with its line, its column, what was wrong and what to write. The store keeps blobs by the
// digest of their content and models by name and version; a model's own digest covers its manifest and every file.
//
// The package builds no root file systems (package rootfs) and runs nothing (package runtime). It is not for container
// images in general: it keeps what a manifest names, no more.
package models
